//! Whole outputs, kept in `crates/mlops-runtime/tests/golden`: a change of words is seen, and read,
//! before it lands. `MLOPS_BLESS=1` writes them anew. Facts that differ from run to run (ids, times,
//! durations, ports, folders) are replaced by their names first. Not for single expectations: a test
//! says those itself.

use std::fs;
use std::path::Path;

use super::scene::Scene;
use super::{Binary, Output, ended};

/// What is replaced by what: `9` stands for a digit, `h` for a lower-case hexadecimal digit, `#`
/// for one digit or more, `~` for one hexadecimal digit or more.
const UNSTABLE: &[(&str, &str)] = &[
    ("99999999T999999999Z-~", "RUN"),
    ("9999-99-99T99:99:99.999Z", "TIME"),
    ("9999-99-99T99:99:99.999999Z", "TIME"),
    ("9999-99-99T99:99:99Z", "TIME"),
    ("9999-99-99 99:99:99", "TIME"),
    ("9999-99-99 99:99", "TIME"),
    ("9999-99-99, 99:99", "TIME"),
    ("hhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhh", "DIGEST"),
    ("r-#-hhhhhhhhhhhh", "RELEASE"),
    ("hhhhhhhhhhhh", "DIGEST"),
    ("127.0.0.1:#", "127.0.0.1:PORT"),
    ("localhost:#", "localhost:PORT"),
    ("pid #", "pid N"),
    ("# direct dependencies", "N direct dependencies"),
    ("#.# s", "DURATION"),
    ("#.# ms", "DURATION"),
    ("# ms", "DURATION"),
    ("# µs", "DURATION"),
];

/// The length of what `pattern` matches at the start of `text`.
fn matched(text: &[u8], pattern: &str) -> Option<usize> {
    let mut at = 0;
    for wanted in pattern.bytes() {
        let here = *text.get(at)?;
        let fits = |here: u8| match wanted {
            b'9' | b'#' => here.is_ascii_digit(),
            b'h' | b'~' => matches!(here, b'0'..=b'9' | b'a'..=b'f'),
            literal => here == literal,
        };
        if !fits(here) {
            return None;
        }
        at += 1;
        while matches!(wanted, b'#' | b'~') && text.get(at).is_some_and(|here| fits(*here)) {
            at += 1;
        }
    }
    Some(at)
}

/// `text` without what differs from run to run; `root` is the folder of the scene.
pub fn stable(text: &str, root: &Path) -> String {
    let text = text.replace(&*root.to_string_lossy(), "PLACE");
    let text = text.replace(env!("CARGO_PKG_VERSION"), "VERSION");
    let (mut kept, mut rest, mut before) = (String::new(), text.as_str(), ' ');
    while let Some(first) = rest.chars().next() {
        let inside = before.is_alphanumeric() || before == '.';
        let found = UNSTABLE.iter().filter(|_| !inside).find_map(|(pattern, name)| {
            let length = matched(rest.as_bytes(), pattern)?;
            let ends = !rest[length..].starts_with(|c: char| c.is_alphanumeric());
            ends.then_some((length, name))
        });
        let length = if let Some((length, name)) = found {
            kept += name;
            length
        } else {
            kept.push(first);
            first.len_utf8()
        };
        before = rest[..length].chars().next_back().unwrap_or(' ');
        rest = &rest[length..];
    }
    kept
}

/// The text of a page, a line for each piece between tags; without styles.
pub fn text_of_page(html: &str) -> String {
    let mut text = String::new();
    let mut rest = html;
    while let Some((before, tag)) = rest.split_once('<') {
        if !before.trim().is_empty() {
            text += before.trim();
            text.push('\n');
        }
        let (name, after) = tag.split_once('>').unwrap_or((tag, ""));
        rest = after;
        for hidden in ["style", "script"] {
            if name.starts_with(hidden) {
                rest = after.split_once(&format!("</{hidden}>")).map_or("", |(_, after)| after);
            }
        }
    }
    for (entity, sign) in [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&amp;", "&")] {
        text = text.replace(entity, sign);
    }
    let kept = text.lines().filter(|line| !belongs_to_an_axis_of_time(line));
    kept.fold(String::new(), |text, line| text + line + "\n")
}

/// Whether a line is a place on an axis of time, or the days that such an axis spans: how many there
/// are, and where midnight falls among them, depends on when the test runs.
fn belongs_to_an_axis_of_time(line: &str) -> bool {
    let whole = |pattern: &str| matched(line.as_bytes(), pattern) == Some(line.len());
    [
        "99:99",
        "99:99:99",
        "9999-99-99",
        "9999-99",
        "9999-99-99, UTC",
        "9999-99-99 to 9999-99-99, UTC",
    ]
    .iter()
    .any(|pattern| whole(pattern))
}

/// Lines that only one text has, with `-` (kept) and `+` (found), and the line before each place.
fn difference(kept: &str, found: &str) -> String {
    let (kept, found): (Vec<_>, Vec<_>) = (kept.lines().collect(), found.lines().collect());
    // The longest common part of what starts at (i, j).
    let mut common = vec![vec![0_u32; found.len() + 1]; kept.len() + 1];
    for i in (0..kept.len()).rev() {
        for j in (0..found.len()).rev() {
            common[i][j] = if kept[i] == found[j] {
                common[i + 1][j + 1] + 1
            } else {
                common[i + 1][j].max(common[i][j + 1])
            };
        }
    }
    let (mut i, mut j, mut text, mut told) = (0, 0, String::new(), true);
    while i < kept.len() || j < found.len() {
        if i < kept.len() && j < found.len() && kept[i] == found[j] {
            told = false;
            (i, j) = (i + 1, j + 1);
            continue;
        }
        if !told && i > 0 {
            text += &format!("  {}\n", kept[i - 1]);
        }
        told = true;
        if j == found.len() || (i < kept.len() && common[i + 1][j] >= common[i][j + 1]) {
            text += &format!("- {}\n", kept[i]);
            i += 1;
        } else {
            text += &format!("+ {}\n", found[j]);
            j += 1;
        }
    }
    text
}

/// Compares `found` with the file `name` (without `.txt`), or writes it when that is asked for.
#[track_caller]
pub fn compare(name: &str, found: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../mlops-runtime/tests/golden");
    let path = folder.join(format!("{name}.txt"));
    if std::env::var("MLOPS_BLESS").is_ok_and(|v| v == "1") {
        fs::create_dir_all(&folder).unwrap();
        return fs::write(&path, found).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == found,
        "the words of golden/{name}.txt have changed (- kept, + found):\n{}\nIf that is meant: \
         MLOPS_BLESS=1, and read the difference before you commit it.",
        difference(&kept, found)
    );
}

/// Commands with all that they said, as a user sees it.
#[derive(Debug, Default)]
pub struct Transcript(String);

impl Transcript {
    /// Runs `program` in `scene` and notes what it said, under the heading `what`.
    pub fn run(&mut self, what: &str, program: Binary, scene: &Scene, arguments: &[&str]) {
        let output = program.run(scene.root(), arguments);
        self.note(what, program, scene.root(), arguments, &output);
    }

    /// The same with variables of the environment.
    pub fn run_with(
        &mut self,
        what: &str,
        program: Binary,
        scene: &Scene,
        (arguments, variables): (&[&str], &[(&str, &str)]),
    ) {
        let mut command = program.command(scene.root(), arguments);
        let output = ended(command.envs(variables.iter().copied()));
        self.note(what, program, scene.root(), arguments, &output);
    }

    fn note(
        &mut self,
        what: &str,
        program: Binary,
        root: &Path,
        arguments: &[&str],
        output: &Output,
    ) {
        let Output { code, stdout, stderr } = output;
        let code = code.map_or_else(|| "none".to_owned(), |code| code.to_string());
        let command = [&[program.name], arguments].concat().join(" ");
        let said = format!("# {what}\n$ {command}\n{stdout}{stderr}(exit code {code})\n\n");
        self.0 += &stable(&said, root);
    }

    /// Compares all of it with the file `name`.
    #[track_caller]
    pub fn compare(self, name: &str) {
        compare(name, self.0.trim_end());
    }
}

/// A configuration like that of a scene, with more in it.
pub fn config_with(more: &str) -> String {
    let folders = r#""input_folder_path": "in", "output_folder_path": "out", "test_data_path": "test",
    "output_model_path": "model", "prod_deployment_path": "live""#;
    format!("{{\n    {folders}{more}\n}}\n")
}
