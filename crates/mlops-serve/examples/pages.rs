//! The dashboard over a workspace, and how long its pages take with many records.
//!
//! `cargo run --release -p mlops-serve --example pages` makes 5,000 runs with 500 releases and measures each page: time
//! of an answer, and the memory of the process. With a configuration it serves that workspace until it is ended:
//! `--example pages -- config.json 8000`. Not a test: its figures depend on the machine.
#![expect(clippy::print_stdout, reason = "its figures are its purpose")]

use std::error::Error;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mlops_core::config::Config;
use mlops_core::platform::clock::SystemClock;
use mlops_core::platform::disk::Disk;
use mlops_core::run::context::Context;
use mlops_serve::{Options, Server};
use rusqlite::{Connection, params};

/// How many runs of four steps each, and how many releases.
const RUNS: u32 = 5000;
const RELEASES: u32 = 500;
/// How often each page is asked for.
const TIMES: usize = 20;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    if let Some(config) = arguments.next() {
        let port = arguments.next().unwrap_or_else(|| "8000".to_owned()).parse()?;
        return serve(Path::new(&config), port, |_| std::thread::sleep(Duration::MAX));
    }
    let folder = tempfile::tempdir()?;
    let disk = Disk::default();
    let config = folder.path().join("config.json");
    let text = r#"{"input_folder_path": "in", "output_folder_path": "out", "test_data_path": "test",
        "output_model_path": "model", "prod_deployment_path": "live"}"#;
    disk.write(&config, text.as_bytes())?;
    fill(&folder.path().join("out/ledger.sqlite"), &disk)?;
    serve(&config, 0, |address| {
        if let Err(error) = measure(address) {
            println!("{error}");
        }
    })
}

/// Serves the workspace of `config` as long as `work` takes.
fn serve(
    config: &Path,
    port: u16,
    work: impl FnOnce(SocketAddr) + Send + 'static,
) -> Result<(), Box<dyn Error>> {
    let config = Config::load(config)?;
    let clock = Arc::new(SystemClock::default());
    let context = Context::new(config, clock, Disk::default(), "example");
    let options = Options { port: Some(port), ..Options::default() };
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let server = Server::bind(&context, options).await?;
        let address = server.address();
        println!("http://{address}");
        let work = tokio::task::spawn_blocking(move || work(address));
        server.serve(async { drop(work.await) }).await?;
        Ok(())
    })
}

/// Asks for each page and prints the median and the slowest time, and what the process takes after it.
fn measure(address: SocketAddr) -> Result<(), Box<dyn Error>> {
    let pages = [
        "/",
        "/releases",
        "/releases?page=10",
        "/runs",
        "/runs?page=400",
        "/runs?failed=1",
        "/runs?step=training&page=50",
        "/runs/run-4900",
        "/decisions",
        "/decisions?all=1&page=100",
        "/decisions/run-4900",
        "/ingestions",
        "/quarantine",
        "/sources",
        "/findings",
    ];
    println!("{:<32} {:>9} {:>9} {:>9} {:>9}", "page", "median", "slowest", "bytes", "memory");
    for path in pages {
        let (mut times, mut bytes) = (Vec::new(), 0);
        for _ in 0..TIMES {
            let begun = Instant::now();
            let mut stream = TcpStream::connect(address)?;
            write!(
                stream,
                "GET {path} HTTP/1.1\r\nhost: localhost\r\naccept: text/html\r\nconnection: close\r\n\r\n"
            )?;
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer)?;
            times.push(begun.elapsed());
            bytes = answer.len();
            if !answer.starts_with(b"HTTP/1.1 200") {
                println!("{}", String::from_utf8_lossy(&answer[..answer.len().min(300)]));
                break;
            }
        }
        times.sort();
        let ms = |time: Duration| format!("{:.1} ms", 1000.0 * time.as_secs_f64());
        let (median, slowest) = (times[times.len() / 2], times[times.len() - 1]);
        println!("{path:<32} {:>9} {:>9} {bytes:>9} {:>6} KiB", ms(median), ms(slowest), memory());
    }
    Ok(())
}

/// The largest resident memory of this process so far, in KiB.
fn memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.unwrap_or_default().trim().trim_end_matches(" kB").to_owned()
}

/// A ledger with many records, whose details are as long as real ones.
fn fill(path: &Path, disk: &Disk) -> Result<(), Box<dyn Error>> {
    drop(mlops_core::ledger::Ledger::open(path, disk)?);
    let db = Connection::open(path)?;
    db.execute_batch("BEGIN")?;
    let detail = format!("{{\"words\": \"{}\"}}", "x".repeat(6000));
    let counts = format!(
        "{{\"rows_read\": 100, \"rows_kept\": 100, \"missing\": [{}]}}",
        ["0"; 40].join(",")
    );
    for run in 0..RUNS {
        let (id, at) = (
            format!("run-{run}"),
            format!("2026-01-01T{:02}:{:02}:00.000Z", run / 60 % 24, run % 60),
        );
        for step in ["ingestion", "drift", "training", "fullprocess"] {
            let outcome = if run % 97 == 0 { "failed" } else { "done" };
            db.execute(
                "INSERT INTO runs (run_id, step, started, ended, seconds, outcome, detail, tool_version, host)
                 VALUES (?1, ?2, ?3, ?3, 1.5, ?4, ?5, '1.0.0', 'host')",
                params![id, step, at, outcome, detail],
            )?;
        }
        let outcome = if run % 10 == 0 { "promoted" } else { "no_drift" };
        let decision = format!(
            "{{\"reason\": \"F1 did not fall\", \"data\": {{\"new_rows\": 100}}, \"words\": {detail}}}"
        );
        db.execute(
            "INSERT INTO decisions (run_id, dataset, outcome, f1, decision, recorded) VALUES (?1, ?2, ?3, 0.8, ?4, ?5)",
            params![id, run, outcome, decision, at],
        )?;
        db.execute(
            "INSERT INTO files (run_id, name, location, size, modified_ns, inode, status, dataset, counts, recorded_ns)
             VALUES (?1, ?2, ?2, 1, 1, 1, 'ingested', ?3, ?4, 1)",
            params![id, format!("file-{run}.csv"), run, counts],
        )?;
        if run % (RUNS / RELEASES) == 0 {
            db.execute(
                "INSERT INTO deployments (run_id, step, action, release, f1, dataset, reason, recorded)
                 VALUES (?1, 'fullprocess', 'deploy', ?2, 0.8, ?3, 'the new model is better', ?4)",
                params![id, format!("r-{run}-0123456789ab"), run, at],
            )?;
        }
    }
    db.execute_batch("COMMIT")?;
    Ok(())
}
