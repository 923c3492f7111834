//! Sources and resources.

use crate::common::{complaints, with};

#[test]
fn lists_of_downloads() {
    let text = format!(
        "schema: pipeline/v1
name: test
sources:
  data:
    - {{ fetch: \"https://host/a.gz\", sha256: {digest}, size: 5 }}
    - {{ file: b.gz }}
    - {{ fetch: \"https://host/c.gz\", size: 5 }}
    - {{ fetch: \"https://host/e.gz\", file: e.gz, sha256: {digest}, size: 5 }}
    - d.gz
  none: []
steps:
  base: {{ import: {{ from: data }} }}
",
        digest = "0f".repeat(32)
    );
    insta::assert_snapshot!(complaints(&text), @r#"
    error: sources.data: a file in a list of downloads
     --> recipe.yaml:6:7
      |
    6 |     - { file: b.gz }
      |       ^^^^^^^^^^^^^^
      |
      = help: several local files are `{ file: [PATH, PATH] }`

    error: sources.data: `sha256` is missing
     --> recipe.yaml:7:7
      |
    7 |     - { fetch: "https://host/c.gz", size: 5 }
      |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: a download is fixed by its digest and size; `sha256` is the SHA-256 of the file, 64 hexadecimal digits

    error: sources.data: both `file` and `fetch`
     --> recipe.yaml:8:9
      |
    8 |     - { fetch: "https://host/e.gz", file: e.gz, sha256: 0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f, size: 5 }
      |         ^^^^^                       ---- the file
      |
      = help: keep one; `--source NAME=PATH` replaces a download by a local file

    error: sources.data: the string `d.gz` is not a mapping with `file`, `fetch`, `sha256`, `size`, `doc`
     --> recipe.yaml:9:7
      |
    9 |     - d.gz
      |       ^^^^

    error: sources.none: a list is not a mapping with `file`, `fetch`, `sha256`, `size`, `doc`
      --> recipe.yaml:10:9
       |
    10 |   none: []
       |         ^^
    "#);
}

#[test]
fn sources() {
    let text = "schema: pipeline/v1
name: test
sources:
  a: w.h5
  b: {}
  c: { file: w.h5, sha256: abc }
  d: { file: w.h5, fetch: https://example.org/w.h5 }
  e: { fetch: https://example.org/w.h5 }
  f: { fetch: [example.org/w.h5, https://example.org/], sha256: 12ag, size: big }
  g: { file: [] }
  h: { file: [a, 5] }
  i: { fiel: w.h5 }
  j: { fetch: https://example.org/w.h5, sha256: 1234567812345678, size: -1 }
steps:
  base: { import: { from: base } }
  x: { import: { from: wieghts } }
";
    insta::assert_snapshot!(complaints(text), @"
    error: sources.a: the string `w.h5` is not a mapping with `file`, `fetch`, `sha256`, `size`, `doc`
     --> recipe.yaml:4:6
      |
    4 |   a: w.h5
      |      ^^^^

    error: sources.b: neither `file` nor `fetch`
     --> recipe.yaml:5:6
      |
    5 |   b: {}
      |      ^^
      |
      = help: write `{ file: PATH }` or `{ fetch: URL, sha256: HEX, size: BYTES }`

    error: sources.c: `sha256` belongs to `fetch`
     --> recipe.yaml:6:20
      |
    6 |   c: { file: w.h5, sha256: abc }
      |                    ^^^^^^
      |
      = help: a file is hashed when it is read; remove the key

    error: sources.d: both `file` and `fetch`
     --> recipe.yaml:7:20
      |
    7 |   d: { file: w.h5, fetch: https://example.org/w.h5 }
      |        ----        ^^^^^
      |        |
      |        the file
      |
      = help: keep one; `--source NAME=PATH` replaces a download by a local file

    error: sources.e: `sha256` is missing
     --> recipe.yaml:8:6
      |
    8 |   e: { fetch: https://example.org/w.h5 }
      |      ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: a download is fixed by its digest and size; `sha256` is the SHA-256 of the file, 64 hexadecimal digits

    error: sources.e: `size` is missing
     --> recipe.yaml:8:6
      |
    8 |   e: { fetch: https://example.org/w.h5 }
      |      ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: a download is fixed by its digest and size; `size` is the length of the file in bytes

    error: sources.f.fetch: `example.org/w.h5` is not the address of a file
     --> recipe.yaml:9:16
      |
    9 |   f: { fetch: [example.org/w.h5, https://example.org/], sha256: 12ag, size: big }
      |                ^^^^^^^^^^^^^^^^
      |
      = help: an address starts with `https://`, `http://` or `file://` and ends with a file name

    error: sources.f.fetch: `https://example.org/` is not the address of a file
     --> recipe.yaml:9:34
      |
    9 |   f: { fetch: [example.org/w.h5, https://example.org/], sha256: 12ag, size: big }
      |                                  ^^^^^^^^^^^^^^^^^^^^
      |
      = help: an address starts with `https://`, `http://` or `file://` and ends with a file name

    error: sources.f.sha256: not 64 hexadecimal digits but the string `12ag`
     --> recipe.yaml:9:65
      |
    9 |   f: { fetch: [example.org/w.h5, https://example.org/], sha256: 12ag, size: big }
      |                                                                 ^^^^ 4 characters

    error: sources.f.size: the string `big` is not a number of bytes
     --> recipe.yaml:9:77
      |
    9 |   f: { fetch: [example.org/w.h5, https://example.org/], sha256: 12ag, size: big }
      |                                                                             ^^^

    error: sources.g.file: the list is empty
      --> recipe.yaml:10:14
       |
    10 |   g: { file: [] }
       |              ^^

    error: sources.h.file: `5` is not a string
      --> recipe.yaml:11:18
       |
    11 |   h: { file: [a, 5] }
       |                  ^

    error: sources.i: unknown key `fiel`
      --> recipe.yaml:12:8
       |
    12 |   i: { fiel: w.h5 }
       |        ^^^^
       |
       = help: did you mean `file`?

    error: sources.j.sha256: not 64 hexadecimal digits but `1234567812345678`
      --> recipe.yaml:13:49
       |
    13 |   j: { fetch: https://example.org/w.h5, sha256: 1234567812345678, size: -1 }
       |                                                 ^^^^^^^^^^^^^^^^ 16 characters
       |
       = help: put the digest in quotes

    error: sources.j.size: `-1` is not a number of bytes
      --> recipe.yaml:13:73
       |
    13 |   j: { fetch: https://example.org/w.h5, sha256: 1234567812345678, size: -1 }
       |                                                                         ^^

    error: import.from: there is no source `base`
      --> recipe.yaml:15:27
       |
    15 |   base: { import: { from: base } }
       |                           ^^^^
       |
       = help: `base` is a step; a source is an entry of `sources`

    error: import.from: there is no source `wieghts`
      --> recipe.yaml:16:24
       |
    16 |   x: { import: { from: wieghts } }
       |                        ^^^^^^^
       |
       = help: the recipe's sources: `a`, `b`, `c`, `d`, `e`, `f`, `g`, `h`, `i`, `j`
    ");
}

#[test]
fn resources() {
    let text = with(
        "  a: { prune: { model: base, sparsity: 0 }, resources: { exclusive: 1, threads: 0, memory: lots, gpu: 1 } }
  b: { prune: { model: base, sparsity: 0 }, resources: exclusive }
",
    );
    insta::assert_snapshot!(complaints(&text), @"
    error: a.resources.exclusive: `1` is not `true` or `false`
     --> recipe.yaml:7:69
      |
    7 |   a: { prune: { model: base, sparsity: 0 }, resources: { exclusive: 1, threads: 0, memory: lots, gpu: 1 } }
      |                                                                     ^

    error: a.resources.threads: `0` is not an integer of at least 1
     --> recipe.yaml:7:81
      |
    7 |   a: { prune: { model: base, sparsity: 0 }, resources: { exclusive: 1, threads: 0, memory: lots, gpu: 1 } }
      |                                                                                 ^

    error: a.resources.memory: the string `lots` is not a size: a number of bytes, or a number with B, kB, MB, GB, KiB, MiB or GiB
     --> recipe.yaml:7:92
      |
    7 |   a: { prune: { model: base, sparsity: 0 }, resources: { exclusive: 1, threads: 0, memory: lots, gpu: 1 } }
      |                                                                                            ^^^^

    error: a.resources: unknown key `gpu`
     --> recipe.yaml:7:98
      |
    7 |   a: { prune: { model: base, sparsity: 0 }, resources: { exclusive: 1, threads: 0, memory: lots, gpu: 1 } }
      |                                                                                                  ^^^
      |
      = help: known keys: `exclusive`, `threads`, `memory`

    error: b.resources: the string `exclusive` is not a mapping with `exclusive`, `threads`, `memory`
     --> recipe.yaml:8:56
      |
    8 |   b: { prune: { model: base, sparsity: 0 }, resources: exclusive }
      |                                                        ^^^^^^^^^
    ");
}
