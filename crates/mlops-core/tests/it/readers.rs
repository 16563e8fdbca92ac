//! Readers of the live release while it is exchanged: never a mix, never a miss. Not for crashes:
//! see `recovery`.

use mlops_testkit::{Scene, repetitions, sample_rows};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

#[test]
fn a_reader_sees_one_whole_release_at_any_moment_of_many_promotions() {
    let scene = Scene::new();
    scene.rows("in/a.csv", &sample_rows(40, 1));
    scene.rows("test/testdata.csv", &sample_rows(30, 2));
    scene.everything().unwrap();
    scene.rows("in/b.csv", &sample_rows(40, 3));
    let context = scene.context().unwrap();
    let first = context.store().live().unwrap().unwrap();
    scene.everything().unwrap();
    let second = context.store().live().unwrap().unwrap();
    assert_ne!(first, second);

    let over = AtomicBool::new(false);
    let seen = [AtomicU64::new(0), AtomicU64::new(0)];
    std::thread::scope(|threads| {
        let reader = threads.spawn(|| {
            while !over.load(Ordering::SeqCst) {
                // Digests, model and golden predictions are all checked on the way.
                let release = context.store().live_release().unwrap();
                assert!([&first, &second].contains(&&release.id), "{}", release.id);
                assert_eq!(release.manifest.dataset, release.model.data.version);
                seen[usize::from(release.id == second)].fetch_add(1, Ordering::SeqCst);
            }
        });
        // At least so many, and until both were read in between.
        let enough = || seen.iter().all(|n| n.load(Ordering::SeqCst) > 2);
        let mut promotions = 0;
        while (promotions < repetitions(200, 1000) || !enough()) && !reader.is_finished() {
            let target = if promotions % 2 == 0 { &first } else { &second };
            context.store().promote(target).unwrap();
            promotions += 1;
        }
        over.store(true, Ordering::SeqCst);
        reader.join().unwrap();
    });
}
