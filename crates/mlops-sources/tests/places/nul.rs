//! Texts with the character NUL in the table into which data sets are delivered. Not for other texts: see `output`.

use mlops_testkit::{HEADER, sample_rows};
use serde_json::json;

use super::output::{World, everywhere};

/// SQLite has such texts, and PostgreSQL none.
#[test]
fn texts_with_nul_are_read_back_or_named_with_what_to_do() {
    everywhere(|server| {
        let mut world = World::new(server, "append");
        let good = HEADER.to_owned() + "a1,1,2,3,0\na2,4,5,6,1\n";
        world.scene.file("in/a.csv", good.replace("a2", "a\u{0}2"));
        if server.is_none() {
            world.delivers();
            assert!(world.data(1).iter().any(|row| row.starts_with("a\u{0}2,")));
            assert_eq!(world.rows("version = 1"), world.data(1));
            return;
        }
        let why = world.behind();
        for part in ["the character NUL", "of the column corporation: correct the file", "pattern"]
        {
            assert!(why.contains(part), "{part} in {why}");
        }
        assert!(!why.contains('\0') && why.len() < 700, "{why}");
        let made = "SELECT count(*) FROM pg_class WHERE relname = 'clients'";
        assert_eq!(world.ask(made), ["0"], "nothing of it stays");
        // The file is corrected.
        world.scene.file("in/a.csv", &good);
        world.delivers();
        let latest = world.latest();
        assert_eq!(world.rows(&format!("version = {latest}")), world.data(latest));
        // Or such rows are kept out, as the message says.
        let pattern = why.split("\"pattern\": \"").nth(1).unwrap().split('"').next().unwrap();
        let pattern = pattern.replace("\\\\", "\\");
        let contract = json!({"contract": {"columns": {"corporation": {"pattern": pattern}}}});
        let table = world.table.clone();
        world.configure(&table, &contract);
        world.scene.file("in/b.csv", good.replace("a1", "b\u{0}1") + &sample_rows(40, 1));
        world.delivers();
        let latest = world.latest();
        let rows = world.rows(&format!("version = {latest}"));
        assert!(rows.len() > 40 && rows == world.data(latest), "{rows:?}");
    });
}
