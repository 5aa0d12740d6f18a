//! VLSV files made up for tests.

use crate::array::{Buffer, DType, Endian};
use crate::io::output::file_bytes;

/// A file being put together.
#[derive(Clone)]
pub(super) struct File {
    endian: Endian,
    data: Vec<u8>,
    footer: String,
}

impl File {
    pub(super) fn new(endian: Endian) -> File {
        let mut data = vec![0; 16];
        data[0] = u8::from(endian == Endian::Big);
        File { endian, data, footer: "<VLSV>\n".into() }
    }
    /// Appends an array of vectors of `components` values.
    pub(super) fn array(self, tag: &str, attributes: &[(&str, &str)], components: usize, values: Buffer) -> File {
        let dtype = values.dtype();
        let kind = match dtype {
            DType::F32 | DType::F64 => "float",
            DType::U8 | DType::U16 | DType::U32 | DType::U64 => "uint",
            _ => "int",
        };
        let (n, size) = (values.len() / components, dtype.size());
        let mut text = format!("arraysize=\"{n}\" datasize=\"{size}\" datatype=\"{kind}\" vectorsize=\"{components}\"");
        attributes.iter().for_each(|(k, v)| text += &format!(" {k}=\"{v}\""));
        let bytes = file_bytes(values.as_slice(), self.endian);
        self.bytes(tag, &text, &bytes)
    }
    /// Appends bytes and an element with these attributes that points to them.
    pub(super) fn bytes(mut self, tag: &str, attributes: &str, bytes: &[u8]) -> File {
        let at = self.data.len();
        self.data.extend(bytes);
        self.element(&format!("<{tag} {attributes}>{at}</{tag}>"))
    }
    /// Appends an element.
    pub(super) fn element(mut self, xml: &str) -> File {
        self.footer += &format!("   {xml}\n");
        self
    }
    pub(super) fn finish(self) -> Vec<u8> {
        let mut file = self.data;
        let at = file.len() as u64;
        let at = if self.endian == Endian::Big { at.to_be_bytes() } else { at.to_le_bytes() };
        file[8..16].copy_from_slice(&at);
        file.extend((self.footer + "</VLSV>\n").into_bytes());
        file
    }
}
