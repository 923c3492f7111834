//! A model file as C source, for devices without a file system.

use std::fmt::Write;

/// A C source file and its header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CArray {
    /// `name.c`: the bytes.
    pub source: String,
    /// `name.h`: the declarations.
    pub header: String,
}

/// `bytes` as a constant array aligned to 16 bytes, and its length as `NAME_len`; both in C11 and C++11.
///
/// `name` is the name of the array and, with `.h`, of the header that the source includes; what cannot stand in a C
/// identifier becomes `_`.
pub fn c_array(bytes: &[u8], name: &str) -> CArray {
    let name = identifier(name);
    let guard = name.to_uppercase();
    let header = format!(
        "#ifndef {guard}_H_\n#define {guard}_H_\n\n#ifdef __cplusplus\nextern \"C\" {{\n#endif\n\n\
         /* A TensorFlow Lite model, {len} bytes, aligned to 16. */\n\
         extern const unsigned char {name}[];\nextern const unsigned int {name}_len;\n\n\
         #ifdef __cplusplus\n}}\n#endif\n\n#endif /* {guard}_H_ */\n",
        len = bytes.len(),
    );
    let mut source = format!(
        "#include \"{name}.h\"\n\n#ifdef __cplusplus\n#define {guard}_ALIGNED alignas(16)\n#else\n\
         #define {guard}_ALIGNED _Alignas(16)\n#endif\n\n{guard}_ALIGNED const unsigned char {name}[] = {{\n"
    );
    source.reserve(bytes.len() * 6);
    for line in bytes.chunks(16) {
        for (i, byte) in line.iter().enumerate() {
            let space = if i == 0 { "    " } else { " " };
            write!(source, "{space}0x{byte:02x},").expect("writing to a string succeeds");
        }
        source.push('\n');
    }
    write!(source, "}};\nconst unsigned int {name}_len = {};\n", bytes.len()).expect("writing to a string succeeds");
    CArray { source, header }
}

fn identifier(name: &str) -> String {
    let clean: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect();
    if clean.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        clean
    } else {
        format!("model_{clean}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_become_c() {
        let c = c_array(&(0..18).collect::<Vec<u8>>(), "my-model");
        insta::assert_snapshot!(c.source, @r#"
        #include "my_model.h"

        #ifdef __cplusplus
        #define MY_MODEL_ALIGNED alignas(16)
        #else
        #define MY_MODEL_ALIGNED _Alignas(16)
        #endif

        MY_MODEL_ALIGNED const unsigned char my_model[] = {
            0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f,
            0x10, 0x11,
        };
        const unsigned int my_model_len = 18;
        "#);
        insta::assert_snapshot!(c.header, @r#"
    #ifndef MY_MODEL_H_
    #define MY_MODEL_H_

    #ifdef __cplusplus
    extern "C" {
    #endif

    /* A TensorFlow Lite model, 18 bytes, aligned to 16. */
    extern const unsigned char my_model[];
    extern const unsigned int my_model_len;

    #ifdef __cplusplus
    }
    #endif

    #endif /* MY_MODEL_H_ */
    "#);
    }

    #[test]
    fn a_name_becomes_an_identifier() {
        assert_eq!(identifier("8bit"), "model_8bit");
        assert_eq!(identifier("größe"), "gr__e");
        assert_eq!(identifier(""), "model_");
    }
}
