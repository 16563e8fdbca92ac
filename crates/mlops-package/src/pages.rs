//! A manual page for each program and each of its commands, and completions for `mlops` in three shells. Not for
//! the words: those are the programs' own help.

use std::io;
use std::path::Path;

use clap::Command;
use clap_complete::{Shell, generate};
use clap_mangen::Man;

/// The shells, and the names under which they look for completions of `mlops`.
pub(crate) const SHELLS: [(Shell, &str); 3] =
    [(Shell::Bash, "mlops.bash"), (Shell::Zsh, "_mlops"), (Shell::Fish, "mlops.fish")];

/// Writes `man/*.1` and `completions/*`; `day` is in the foot of each page.
pub(crate) fn write(folder: &Path, programs: &[Command], day: &str) -> io::Result<()> {
    let (man, completions) = (folder.join("man"), folder.join("completions"));
    std::fs::create_dir_all(&man)?;
    std::fs::create_dir_all(&completions)?;
    for (name, text) in manual(programs, day)? {
        crate::keep(&man, &name, &text)?;
    }
    for (shell, name) in SHELLS {
        crate::keep(&completions, name, &completion(programs, shell))?;
    }
    Ok(())
}

/// `mlops` with all programs below it.
fn whole(programs: &[Command]) -> Command {
    let mut whole = Command::new("mlops")
        .version(mlops_runtime::VERSION)
        .about("The whole life of a classifier of rows: ingest, train, score, deploy, serve, watch")
        .long_about(
            "Ten programs in one: `mlops ingestion` is ingestion, and so is a link to mlops that is called \
             ingestion. Each has a page of its own, and so has each of their commands.",
        )
        .subcommand_required(true)
        .disable_help_subcommand(true)
        .subcommands(programs.iter().cloned());
    whole.build();
    whole
}

/// What `shell` reads to complete the words after `mlops`.
pub(crate) fn completion(programs: &[Command], shell: Shell) -> String {
    let mut text = Vec::new();
    generate(shell, &mut whole(programs), "mlops", &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

/// The pages, each with the name of its file, in roff.
pub(crate) fn manual(programs: &[Command], day: &str) -> io::Result<Vec<(String, String)>> {
    let mut pages = Vec::new();
    page(&mut pages, &whole(programs), &[], day)?;
    Ok(pages)
}

/// The page of `command`, which belongs to `parents`, and those of its commands.
fn page(
    pages: &mut Vec<(String, String)>,
    command: &Command,
    parents: &[&str],
    day: &str,
) -> io::Result<()> {
    let words = [parents, &[command.get_name()]].concat();
    let (name, usage) = (words.join("-"), words.join(" "));
    // A command's own page has the whole name, in its title as in the line that shows how to call it. It is leaked, since
    // clap keeps names for as long as the program runs, which is not long here.
    let leaked: &'static str = name.clone().leak();
    let own = command.clone().name(leaked).bin_name(usage).display_name(name.clone());
    let man = Man::new(own).title(name.to_uppercase()).date(day).source("mlops").manual("mlops");
    let mut text = Vec::new();
    man.render_title(&mut text)?;
    man.render_name_section(&mut text)?;
    man.render_synopsis_section(&mut text)?;
    man.render_description_section(&mut text)?;
    man.render_options_section(&mut text)?;
    if command.get_subcommands().next().is_some() {
        man.render_subcommands_section(&mut text)?;
    }
    text.extend(closing(command).into_bytes());
    if command.get_version().is_some() {
        man.render_version_section(&mut text)?;
    }
    pages.push((format!("{name}.1"), ascii(&String::from_utf8_lossy(&text))));
    for inner in command.get_subcommands().filter(|inner| inner.get_name() != "help") {
        page(pages, inner, &words, day)?;
    }
    Ok(())
}

/// `text` with other characters as roff names them, since its readers disagree over encodings.
fn ascii(text: &str) -> String {
    let named = |c: char| match c {
        c if c.is_ascii() => c.to_string(),
        c => format!("\\[u{:04X}]", u32::from(c)),
    };
    text.chars().map(named).collect()
}

/// What a program's help says at its end, in sections. Examples keep their lines and columns, which clap's own section
/// would fill up as prose.
fn closing(command: &Command) -> String {
    let said = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let mut out = Vec::new();
    let mut notes = false;
    for paragraph in said.split("\n\n").map(str::trim_end).filter(|paragraph| !paragraph.is_empty())
    {
        let escape = |line: &str| {
            let line = line.replace('\\', "\\e").replace('-', "\\-");
            if line.starts_with(['.', '\'']) { format!("\\&{line}\n") } else { format!("{line}\n") }
        };
        if let Some(examples) =
            paragraph.strip_prefix("Examples:\n").or(paragraph.strip_prefix("Example:\n"))
        {
            let lines =
                examples.lines().map(|line| escape(line.strip_prefix("  ").unwrap_or(line)));
            out.push(format!(".SH EXAMPLES\n.nf\n{}.fi\n", lines.collect::<String>()));
        } else if let Some(codes) = paragraph.strip_prefix("Exit codes: ") {
            out.push(format!(".SH EXIT STATUS\n{}", escape(codes)));
        } else {
            out.push(if notes { ".PP\n" } else { ".SH NOTES\n" }.to_owned());
            out.extend(paragraph.lines().map(escape));
            notes = true;
        }
    }
    out.concat()
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::programs;

    const DAY: &str = "2026-11-30";

    /// What people see of a page: without the marks of roff.
    fn plain(page: &str) -> String {
        ["\\fB", "\\fI", "\\fR", "\\"]
            .iter()
            .fold(page.to_owned(), |text, mark| text.replace(mark, ""))
    }

    /// The words that begin with `--` in `text`.
    fn options(text: &str) -> BTreeSet<String> {
        let word = |rest: &str| {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '-');
            format!("--{}", &rest[..end.unwrap_or(rest.len())])
        };
        let starts = text.match_indices("--").filter(|(at, _)| !text[..*at].ends_with('-'));
        starts.map(|(at, _)| word(&text[at + 2..])).filter(|word| word.len() > 2).collect()
    }

    /// Every command below `of` with its words, its options and the commands in it.
    fn commands(of: &Command, words: &str, found: &mut Vec<(String, Vec<String>)>) {
        let long = of.get_arguments().filter(|option| !option.is_hide_set());
        let mut said: Vec<String> =
            long.filter_map(|option| Some(format!("--{}", option.get_long()?))).collect();
        for inner in of.get_subcommands().filter(|inner| inner.get_name() != "help") {
            said.push(inner.get_name().to_owned());
            commands(inner, &format!("{words}-{}", inner.get_name()), found);
        }
        found.push((words.to_owned(), said));
    }

    #[test]
    fn each_command_has_a_page_that_names_its_options_and_commands() {
        let programs = programs::all();
        let pages: BTreeMap<String, String> = manual(&programs, DAY).unwrap().into_iter().collect();
        let mut found = Vec::new();
        commands(&whole(&programs), "mlops", &mut found);
        assert_eq!(found.len(), pages.len());
        assert!(found.len() > 30, "{}", found.len());
        for (name, said) in found {
            let page = plain(&pages[&format!("{name}.1")]);
            for word in said {
                assert!(page.contains(&word), "{name}.1 does not name {word}");
            }
        }
        // Against what the programs say when they are asked, so that no walk over commands is believed alone.
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../mlops-runtime/tests/golden");
        for program in programs.iter().map(Command::get_name).filter(|name| *name != "doctor") {
            let help = std::fs::read_to_string(golden.join(format!("{program}-help.txt"))).unwrap();
            let missing: Vec<_> = options(&help)
                .difference(&options(&plain(&pages[&format!("mlops-{program}.1")])))
                .cloned()
                .collect();
            assert!(missing.is_empty(), "{program}: {missing:?}");
        }
    }

    #[test]
    fn pages_are_roff_that_every_reader_knows() {
        for (name, page) in manual(&programs::all(), DAY).unwrap() {
            assert!(page.is_ascii(), "{name}");
            let mut depth = 0;
            for line in page.lines().filter(|line| line.starts_with(['.', '\''])) {
                match line.split(' ').next().unwrap() {
                    ".RS" => depth += 1,
                    ".RE" => depth -= 1,
                    ".TH" | ".SH" | ".SS" | ".TP" | ".PP" | ".IP" | ".br" | ".nf" | ".fi"
                    | ".ie" | ".el" => {}
                    _ => panic!("{name}: {line}"),
                }
            }
            assert_eq!(depth, 0, "{name}");
            assert_eq!(page.matches("\n.nf\n").count(), page.matches("\n.fi\n").count(), "{name}");
            let title = format!(".TH {}", name.trim_end_matches(".1").to_uppercase());
            for part in [&*title, DAY, ".SH NAME", ".SH SYNOPSIS", ".SH OPTIONS"] {
                assert!(page.contains(part), "{name} has no {part}");
            }
        }
    }

    #[test]
    fn examples_keep_their_lines_and_exit_codes_have_a_section() {
        let pages: BTreeMap<String, String> =
            manual(&programs::all(), DAY).unwrap().into_iter().collect();
        let page = &pages["mlops-fullprocess.1"];
        assert!(
            page.contains(".nf\nfullprocess                  one run, as cron starts it\n"),
            "{page}"
        );
        assert!(page.contains(".SH EXIT STATUS\n0 done or nothing to do, "), "{page}");
        assert!(pages["mlops-app.1"].contains(".SH NOTES\nSIGHUP makes it reload"));
        assert!(plain(&pages["mlops-app.1"]).contains("MLOPS_CONFIG"));
    }

    #[test]
    fn completions_name_every_option_of_every_command() {
        let programs = programs::all();
        let mut found = Vec::new();
        commands(&whole(&programs), "mlops", &mut found);
        for (shell, name) in SHELLS {
            let text = completion(&programs, shell);
            // clap's generator for fish does not know options of commands of commands of programs.
            let depth = if shell == Shell::Fish { 2 } else { usize::MAX };
            let known = found.iter().filter(|(words, _)| words.matches('-').count() <= depth);
            for word in known.flat_map(|(_, said)| said) {
                // fish has options without their hyphens.
                let known = match word.strip_prefix("--") {
                    Some(long) if shell == Shell::Fish => text.contains(&format!("-l {long}")),
                    _ => text.contains(word.as_str()),
                };
                assert!(known, "{name} does not name {word}");
            }
        }
    }
}
