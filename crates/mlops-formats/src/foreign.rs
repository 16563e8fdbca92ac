//! Files that are no rows of any format here, told by their first bytes: a message says what they are and what
//! to do, instead of which columns they lack.
//!
//! Not for formats that are read: see [`crate::recognise`] and [`crate::packed`].

const WORKBOOK: &str = "open it in a spreadsheet program and save it as .xlsx or CSV";
const UNPACK: &str = "unpack it, or pack it as gzip, zstd or zip";
const PARQUET: &str = "convert it to Parquet or CSV";

/// Bytes that begin a file, what it is, and what to do.
const KNOWN: [(&[u8], &str, &str); 31] = [
    (b"%PDF-", "a PDF document", "export the table as CSV or .xlsx"),
    (b"Obj\x01", "an Avro file", PARQUET),
    (
        b"SQLite format 3\0",
        "a SQLite database",
        "name it in \"sources\" as \"sqlite:PATH\" with its table",
    ),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", UNPACK),
    (b"Rar!\x1a\x07", "a RAR archive", UNPACK),
    (b"\x1f\x9d", "packed by compress", UNPACK),
    (b"\x1f\xa0", "packed by compress", UNPACK),
    (b"\x04\x22\x4d\x18", "packed as LZ4", UNPACK),
    (b"\x5d\x00\x00", "packed as LZMA", UNPACK),
    (b"\xff\x06\x00\x00sNaPpY", "packed as Snappy", UNPACK),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file", PARQUET),
    (b"$FL2", "a file of SPSS", PARQUET),
    (b"$FL3", "a file of SPSS", PARQUET),
    (b"<stata_dta>", "a file of Stata", PARQUET),
    (b"\0\0\0\0\0\0\0\0\0\0\0\0\xc2\xea\x81\x60", "a file of SAS", PARQUET),
    (b"HEADER RECORD*******LIBRARY HEADER RECORD", "a transport file of SAS", PARQUET),
    (b"RDX2\n", "a file of R", PARQUET),
    (b"RDX3\n", "a file of R", PARQUET),
    (b"X\n\0\0\0", "a file of R", PARQUET),
    (b"\x93NUMPY", "a file of NumPy", PARQUET),
    (b"\0\x01\0\0Standard Jet DB", "a database of Access", "export its table as CSV"),
    (b"\0\x01\0\0Standard ACE DB", "a database of Access", "export its table as CSV"),
    (b"\x09\x00\x04\x00", "a workbook of Excel 2", WORKBOOK),
    (b"\x09\x02\x06\x00", "a workbook of Excel 3", WORKBOOK),
    (b"\x09\x04\x06\x00", "a workbook of Excel 4", WORKBOOK),
    (b"\x09\x08\x08\x00", "a workbook of Excel 5", WORKBOOK),
    (b"\xff\xfe\0\0", "text in UTF-32", "save it as UTF-8"),
    (b"\0\0\xfe\xff", "text in UTF-32", "save it as UTF-8"),
    (
        b"version https://git-lfs.github.com/",
        "a pointer of Git LFS, not the file itself",
        "fetch the file with: git lfs pull",
    ),
    (
        b"-----BEGIN PGP MESSAGE-----",
        "encrypted with PGP",
        "decrypt it, for example in a source with \"command\"",
    ),
    (b"{\\rtf", "a document in Rich Text Format", "export the table as CSV or .xlsx"),
];

/// What a file that begins with `head` is, and what to do; `None` if it may have rows.
pub(crate) fn told(head: &[u8]) -> Option<String> {
    let say =
        |what: &str, advice: &str| Some(format!("this is {what}, which is not read: {advice}"));
    if let Some((_, what, advice)) = KNOWN.iter().find(|(magic, ..)| head.starts_with(magic)) {
        return say(what, advice);
    }
    if head.get(257..262) == Some(b"ustar") {
        return say("a tar archive", "unpack it, or pack its files as zip");
    }
    // A header may begin with these letters, but no text goes on like this.
    if head.starts_with(b"ORC")
        && head.get(3..8).is_some_and(|next| next.iter().any(|b| *b < b'\t'))
    {
        return say("an ORC file", PARQUET);
    }
    if head.first() == Some(&0x80) && head.get(1).is_some_and(|b| (2..=5).contains(b)) {
        return say("an object of Python (pickle)", PARQUET);
    }
    markup(head)
}

/// The same for HTML and XML.
fn markup(head: &[u8]) -> Option<String> {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    let has = |text: &[u8]| {
        let text = text.to_ascii_lowercase();
        head.windows(text.len()).any(|window| window.eq_ignore_ascii_case(&text))
    };
    let begins = |text: &[u8]| head.get(..text.len()).is_some_and(|h| h.eq_ignore_ascii_case(text));
    if begins(b"<!doctype html") || begins(b"<html") || begins(b"<table") {
        return Some(format!(
            "this is an HTML page, which is not read: if it is a table that is called .xls, {WORKBOOK}; if it is \
             what a server says instead of the file, open its address in a browser"
        ));
    }
    if !begins(b"<?xml") {
        return None;
    }
    Some(if has(b"Excel.Sheet") || has(b"office:spreadsheet") {
        format!("this is a workbook saved as XML, which is not read: {WORKBOOK}")
    } else {
        "this is XML, which is not read: convert it to CSV or JSON Lines".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_table_is_told_by_its_name() {
        let mut tar = vec![b'a'; 300];
        tar[257..262].copy_from_slice(b"ustar");
        let cases: [(&[u8], &str); 8] = [
            (b"%PDF-1.7\n", "a PDF document"),
            (b"ORC\x0a\x0b\x01\x02\x03", "an ORC file"),
            (&tar, "a tar archive"),
            (b"\x80\x04\x95\x10", "pickle"),
            (b" <!DOCTYPE HTML>\n<html>", "an HTML page"),
            (
                b"<?xml version=\"1.0\"?>\n<?mso-application progid=\"Excel.Sheet\"?>",
                "saved as XML",
            ),
            (b"<?xml version=\"1.0\"?>\n<rows/>", "convert it to CSV"),
            (b"version https://git-lfs.github.com/spec/v1\noid", "git lfs pull"),
        ];
        for (head, expected) in cases {
            let told = told(head).unwrap();
            assert!(told.contains(expected), "{told}");
        }
    }

    #[test]
    fn headers_of_rows_are_none_of_them() {
        for head in [
            "ORC,age\n1,2\n",
            "id,age\n",
            "<id>,age\n",
            "X\n1\n2\n",
            "version,age\n",
            "\u{80}\u{4}",
        ] {
            assert_eq!(told(head.as_bytes()), None, "{head}");
        }
    }
}
