"""Makes `engine/formats/src/onnx/write/operators.txt`: the signatures of ONNX's standard operators, from the schemas of the `onnx` package.

    python onnx_operators.py            # prints the table
    python onnx_operators.py --check    # says whether the file is current, exit code 1 if not

The first lines of the file explain the columns. Versions of an operator with the same signature share a line; those before version 17 of the
operator set are left out, but for the one in force there.
"""

import sys
from collections import defaultdict
from pathlib import Path

from onnx import defs

TABLE = Path(__file__).resolve().parents[2] / "engine/formats/src/onnx/write/operators.txt"
FIRST, LAST = 17, 28
LETTERS = {
    "float": "f", "float16": "h", "double": "d", "bool": "b", "int8": "a", "int16": "s", "int32": "i", "int64": "l", "int4": "n",
    "uint8": "A", "uint16": "S", "uint32": "I", "uint64": "L", "uint4": "N",
}  # fmt: skip
KINDS = {
    "INT": "i", "FLOAT": "f", "STRING": "s", "TENSOR": "t", "GRAPH": "g", "INTS": "I", "FLOATS": "F", "STRINGS": "S", "GRAPHS": "G",
    "SPARSE_TENSOR": "x", "TYPE_PROTO": "y",
}  # fmt: skip


def letter(name):
    """The letter of a type such as `tensor(float)`, or nothing."""
    return LETTERS.get(name.removeprefix("tensor(").removesuffix(")"))


def last_word(value):
    return str(value).rsplit(".", 1)[-1]


def form(schema):
    """What a node of the operator looks like."""
    attributes = sorted((a.name, last_word(a.type), a.required, str(a.default_value)) for a in schema.attributes.values())
    ends = [[(end.name, str(end.option)) for end in ends] for ends in (schema.inputs, schema.outputs)]
    return attributes, ends


def count(least, most):
    return f"{least}-{'*' if most > 1000 else most}"


def signature(schema):
    """Everything of a line but name and versions."""
    known = {}
    for constraint in schema.type_constraints:
        letters = sorted({letter(t) for t in constraint.allowed_type_strs if letter(t)})
        if letters:
            known[constraint.type_param_str] = "".join(letters)

    def kind(end):
        if last_word(end.option) == "Variadic" and not end.is_homogeneous:
            return "?"
        return end.type_str if end.type_str in known else letter(end.type_str) or "?"

    attributes = sorted(schema.attributes.values(), key=lambda a: a.name)
    columns = [
        f"{count(schema.min_input, schema.max_input)} {count(schema.min_output, schema.max_output)}",
        ",".join(f"{name}={letters}" for name, letters in known.items()) or "-",
        f"{','.join(map(kind, schema.inputs)) or '-'} > {','.join(map(kind, schema.outputs)) or '-'}",
        " ".join(f"{'!' if a.required else ''}{a.name}:{KINDS[last_word(a.type)]}" for a in attributes),
    ]
    return " | ".join(columns).rstrip()


def lines():
    """The table, sorted by operator and version."""
    operators = defaultdict(list)
    for schema in defs.get_all_schemas_with_history():
        if schema.domain == "" and schema.since_version <= LAST:
            operators[schema.name].append(schema)
    for name, schemas in sorted(operators.items()):
        schemas.sort(key=lambda schema: schema.since_version)
        first, said = None, None
        for i, schema in enumerate(schemas):
            if i == 0 or form(schemas[i - 1]) != form(schema):
                first = schema.since_version
            following = schemas[i + 1].since_version if i + 1 < len(schemas) else LAST + 1
            if following <= FIRST or schema.deprecated:
                continue
            text = f"{first} {signature(schema)}"
            if text != said:
                yield f"{name} {schema.since_version} {text}"
            said = text


def main():
    header = [line for line in TABLE.read_text().splitlines() if line.startswith("#")]
    table = "\n".join([*header, *lines()]) + "\n"
    if "--check" not in sys.argv:
        print(table, end="")
        return 0
    current = table == TABLE.read_text()
    print("current" if current else f"not current: python {Path(__file__).name} > {TABLE.name}")
    return 0 if current else 1


if __name__ == "__main__":
    sys.exit(main())
