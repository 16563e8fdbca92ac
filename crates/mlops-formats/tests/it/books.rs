//! Workbooks: which sheet is read, which row names the columns, and which workbooks are refused. Not for the
//! values of cells: see `typed`.

use serde_json::json;

use crate::table::{self, Outcome, Row, ingested, workbook};

fn row(cells: &[&str]) -> Row {
    cells.iter().map(|cell| (!cell.is_empty()).then(|| (*cell).to_owned())).collect()
}

fn header() -> Row {
    table::COLUMNS.iter().map(|name| Some((*name).to_owned())).collect()
}

fn clients() -> Vec<Row> {
    vec![header(), row(&["a", "1", "2", "3", "0"]), row(&["b", "4", "5", "6", "1"])]
}

fn of(sheets: &[(&str, Vec<Row>)]) -> Outcome {
    ingested("t.xlsx", &workbook(sheets), &json!({}))
}

fn assert_clients(found: &Outcome) {
    let rows: Vec<&str> = found.data.lines().skip(1).collect();
    assert_eq!(rows, ["a,1,2,3,0", "b,4,5,6,1"], "{found:?}");
    assert!(found.quarantine.is_empty(), "{found:?}");
}

#[test]
fn the_sheet_that_has_the_columns_is_read() {
    let cover = vec![row(&["Prepared for the board"]), row(&["by", "Anna"])];
    assert_clients(&of(&[("Cover", cover.clone()), ("Empty", Vec::new()), ("Data", clients())]));
    // Doubt is a refusal.
    let found = of(&[("May", clients()), ("June", clients())]);
    assert!(found.data.is_empty());
    assert!(
        found.failures[0].contains("several of its sheets have the columns: May, June"),
        "{found:?}"
    );
    let other = vec![row(&["corporation", "age"]), row(&["a", "7"])];
    let found = of(&[("Cover", cover), ("Data", other)]);
    let message = &found.failures[0];
    assert!(
        message.contains("none of its sheets (Cover, Data) has all columns")
            && message.contains("\"Data\" has: corporation, age")
            && message.contains("format.sheet"),
        "{message}"
    );
}

#[test]
fn a_hidden_sheet_is_read_only_if_it_is_named() {
    let mut book = workbook(&[
        ("Then", vec![header(), row(&["old", "1", "2", "3", "0"])]),
        ("Now", clients()),
    ]);
    let (shown, hidden) =
        (b"sheetId=\"1\" r:id=\"rId1\"", b"sheetId=\"1\" state=\"hidden\" r:id=\"rId1\"");
    book = replaced(&book, "xl/workbook.xml", shown, hidden);
    assert_clients(&ingested("t.xlsx", &book, &json!({})));
    let named = ingested("t.xlsx", &book, &json!({"sheet": "Then"}));
    assert!(named.data.contains("old,1,2,3,0"), "{named:?}");
}

/// The archive with a part of a member replaced.
fn replaced(archive: &[u8], name: &str, from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(archive)).unwrap();
    let mut members: Vec<(String, Vec<u8>)> = Vec::new();
    for index in 0..archive.len() {
        let mut member = archive.by_index(index).unwrap();
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut member, &mut bytes).unwrap();
        members.push((member.name().unwrap().into_owned(), bytes));
    }
    let (_, bytes) = members.iter_mut().find(|(found, _)| found == name).unwrap();
    let at = memchr::memmem::find(bytes, from).unwrap();
    bytes.splice(at..at + from.len(), to.iter().copied());
    let members: Vec<(&str, &[u8])> =
        members.iter().map(|(n, b)| (n.as_str(), b.as_slice())).collect();
    table::zip(&members)
}

#[test]
fn titles_may_stand_above_the_names_of_the_columns() {
    let mut sheet = vec![row(&["Clients of 2025"]), row(&[]), row(&["as of", "2025-12-31"])];
    sheet.extend(clients());
    sheet.push(row(&["c", "many", "5", "6", "1"]));
    let found = of(&[("S", sheet)]);
    let rows: Vec<&str> = found.data.lines().skip(1).collect();
    assert_eq!(rows, ["a,1,2,3,0", "b,4,5,6,1"]);
    assert_eq!(found.quarantine[0][..2], ["t.xlsx#S", "7"].map(str::to_owned));
}

#[test]
fn a_first_column_without_a_name_is_an_index() {
    let indexed = |at: usize, cells: Row| {
        let mut row = vec![(at > 0).then(|| at.to_string())];
        row.extend(cells);
        row
    };
    let sheet = clients().into_iter().enumerate().map(|(at, row)| indexed(at, row)).collect();
    assert_clients(&of(&[("S", sheet)]));
}

#[test]
fn a_formula_whose_value_was_not_saved_is_no_missing_value() {
    let book = workbook(&[("S", clients())]);
    let (value, formula) = (b"<c r=\"B3\"><v>4</v></c>", b"<c r=\"B3\"><f>B2*4</f><v></v></c>");
    let part = "xl/worksheets/sheet1.xml";
    let found = ingested("t.xlsx", &replaced(&book, part, value, formula), &json!({}));
    assert!(found.data.is_empty());
    assert!(
        found.failures[0].contains("row 3 has a formula whose value was not saved"),
        "{found:?}"
    );
    // One that says nothing is a missing value, and one in a column that nobody wants does no harm.
    let said = b"<c r=\"B3\" t=\"str\"><f>\"\"</f><v></v></c>";
    let found = ingested("t.xlsx", &replaced(&book, part, value, said), &json!({}));
    assert!(found.data.contains("b,,5,6,1"), "{found:?}");
    let mut wide = clients();
    for (cells, more) in wide.iter_mut().zip(["note", "7", "8"]) {
        cells.push(Some(more.to_owned()));
    }
    let (value, formula) = (b"<c r=\"F3\"><v>8</v></c>", b"<c r=\"F3\"><f>1+1</f></c>");
    let book = replaced(&workbook(&[("S", wide)]), part, value, formula);
    assert_clients(&ingested("t.xlsx", &book, &json!({})));
}

#[test]
fn a_workbook_of_open_document_has_types_and_repetitions() {
    let cell = |kind: &str, value: &str, text: &str| {
        format!(
            "<table:table-cell office:value-type=\"{kind}\" {value}><text:p>{text}</text:p></table:table-cell>"
        )
    };
    let names: String = table::COLUMNS.iter().map(|name| cell("string", "", name)).collect();
    let numbers = cell("float", "office:value=\"1.5\"", "1,50 €")
        + &cell("percentage", "office:value=\"0.25\"", "25 %")
        + &cell("time", "office:time-value=\"PT12H00M00S\"", "12:00");
    let label = cell("float", "office:value=\"1\"", "1");
    let row = |cells: String| format!("<table:table-row>{cells}</table:table-row>");
    let date = cell("date", "office:date-value=\"2024-03-31T00:00:00\"", "31.03.2024");
    let text =
        cell("string", "", "a<text:s text:c=\"2\"/>&amp;<text:tab/><text:span>b</text:span>&#233;");
    let many = "<table:table-row table:number-rows-repeated=\"2\">".to_owned()
        + &cell("string", "", "c")
        + "<table:table-cell office:value-type=\"float\" office:value=\"7\" \
           table:number-columns-repeated=\"3\"/>"
        + &label
        + "</table:table-row>";
    let content = |rows: &str| {
        let text = format!(
            "<office:spreadsheet><table:table table:name=\"S\">{rows}</table:table></office:spreadsheet>"
        );
        let kind: &[u8] = b"application/vnd.oasis.opendocument.spreadsheet";
        table::zip(&[("mimetype", kind), ("content.xml", text.as_bytes())])
    };
    let rows = row(names.clone())
        + &row(date + &numbers + &label)
        + &row(text + &numbers + &label)
        + &many;
    let found = ingested("t.ods", &content(&rows), &json!({}));
    let rows: Vec<&str> = found.data.lines().skip(1).collect();
    assert_eq!(rows, ["2024-03-31,1.5,0.25,0.5,1", "a  &\tbé,1.5,0.25,0.5,1", "c,7,7,7,1"]);
    // A formula without a value, a bomb of repetitions, and a file that is cut off.
    let formula = row(cell("string", "", "d") + "<table:table-cell table:formula=\"of:=1\"/>");
    let bomb = "<table:table-row table:number-rows-repeated=\"1000000\"><table:table-cell \
                office:value-type=\"float\" office:value=\"1\" table:number-columns-repeated=\"1000\"/>\
                </table:table-row>";
    for (rows, expected) in [
        (row(names.clone()) + &formula, "was not saved"),
        (row(names.clone()) + bomb, "repeats more than"),
        (row(names.clone()) + "<table:table-row><table:table-cell>", "cannot be read"),
    ] {
        let found = ingested("t.ods", &content(&rows), &json!({}));
        assert!(found.failures[0].contains(expected), "{found:?}");
    }
    let kind: &[u8] = b"application/vnd.oasis.opendocument.spreadsheet";
    let locked = table::zip(&[
        ("mimetype", kind),
        ("META-INF/manifest.xml", b"<manifest:encryption-data/>"),
    ]);
    let found = ingested("t.ods", &locked, &json!({}));
    assert!(found.failures[0].contains("protected by a password"), "{found:?}");
}

#[test]
fn documents_without_tables_are_called_that() {
    let text = table::zip(&[
        ("mimetype", b"application/vnd.oasis.opendocument.text"),
        ("content.xml", b"<x/>"),
    ]);
    let word = table::zip(&[("[Content_Types].xml", b"<Types/>"), ("word/document.xml", b"<x/>")]);
    for bytes in [text, word] {
        let found = ingested("t.zip", &bytes, &json!({}));
        assert!(found.failures[0].contains("this is a document, not a table"), "{found:?}");
    }
}
