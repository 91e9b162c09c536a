//! A disk that is full, and has room again.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::client::{Client, Request};
use crate::server::{Place, item, mark, text};
use crate::stores::database::needs;

const BATCH: usize = 100;
/// More than any look takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// A small file system that goes away with its owner.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// `None` where the right to mount one is missing.
    fn mount(megabytes: u32) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let size = format!("size={megabytes}m");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder.path());
        mount.output().is_ok_and(|done| done.status.success()).then_some(Self(folder))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Best effort: a mount that stays is gone with the machine.
        drop(Command::new("umount").arg("-l").arg(self.path()).output());
    }
}

#[test]
fn a_full_disk_answers_503_and_recovers() {
    let Some(disk) = SmallDisk::mount(12) else {
        needs::skip("needs the right to mount");
        return;
    };
    let ballast = disk.path().join("ballast");
    std::fs::write(&ballast, vec![1; 8 * 1024 * 1024]).unwrap();
    let place = Place::on(disk.path());
    let server = place.serve(&[]);
    let mut writer = Writer { client: server.client(), recorded: Vec::new(), sent: 0 };

    writer.is("healthy", "ready");
    while writer.batch() {}
    // What is too much for a batch may be enough for one more item, but not for ever.
    while writer.create() {}
    assert!(!writer.create(), "a full disk is full for the next one too");
    writer.is("degraded", "read_only");
    writer.reads_what_it_recorded();
    // Who only reads, and repeats what was recorded, finds no space.
    writer.is("degraded", "read_only");

    std::fs::remove_file(&ballast).unwrap();
    // Whoever waits for the server to be well writes nothing meanwhile.
    let begun = Instant::now();
    while writer.health() != "healthy" {
        assert!(begun.elapsed() < PATIENCE, "it never noticed that there is space");
        std::thread::sleep(Duration::from_millis(50));
    }
    writer.is("healthy", "ready");
    assert!(writer.create() && writer.batch(), "there is room again: {}", place.logged());
    writer.reads_what_it_recorded();
    server.stop();
    place.is_clean();
}

struct Writer {
    client: Client,
    /// The ids that were acknowledged, in their order.
    recorded: Vec<String>,
    sent: usize,
}

impl Writer {
    fn item(&mut self) -> serde_json::Value {
        self.sent += 1;
        assert!(self.sent < 1_000_000, "the disk never filled");
        item("ann", "completed", &format!("mark-{}", self.sent))
    }

    fn health(&mut self) -> String {
        let answer = self.client.ask(&Request::get("/health".to_owned()));
        assert_eq!(answer.status, 200, "{answer:?}");
        let json = answer.json();
        assert_eq!(json["status"], json["database"], "{json}");
        let is_well = json["status"] == "healthy";
        assert_eq!(json["reason"].as_str().is_some_and(|r| r.contains("disk is full")), !is_well);
        text(&json["status"])
    }

    /// Expects what probes are told.
    fn is(&mut self, health: &str, ready: &str) {
        // The answer of a moment ago may be kept.
        let begun = Instant::now();
        while self.health() != health {
            assert!(begun.elapsed() < PATIENCE, "it is not {health}");
            std::thread::sleep(Duration::from_millis(20));
        }
        let answer = self.client.ask(&Request::get("/readyz".to_owned()));
        assert_eq!((answer.status, answer.json()["status"].as_str()), (200, Some(ready)));
    }

    /// Says whether there was room for one more.
    fn create(&mut self) -> bool {
        let item = self.item();
        let answer = self.client.ask(&Request::create(&item));
        if answer.status != 201 {
            assert_eq!(answer.come_back_later(), "DISK_FULL");
            return false;
        }
        assert_eq!(mark(&answer.json()), mark(&item));
        self.recorded.push(text(&answer.json()["id"]));
        true
    }

    /// Says whether there was room for a batch.
    fn batch(&mut self) -> bool {
        let items: Vec<_> = (0..BATCH).map(|_| self.item()).collect();
        let answer = self.client.ask(&Request::batch(&items));
        if answer.status != 200 {
            assert_eq!(answer.come_back_later(), "DISK_FULL");
            return false;
        }
        let body = answer.json();
        assert_eq!(body["created"], BATCH, "{body}");
        let results = body["results"].as_array().unwrap();
        self.recorded.extend(results.iter().map(|result| text(&result["transaction"]["id"])));
        true
    }

    /// Expects exactly what was acknowledged, from every way to look at it.
    fn reads_what_it_recorded(&mut self) {
        let mut found: Vec<String> =
            self.client.feed("ann").iter().map(|item| text(&item["id"])).collect();
        let mut recorded = self.recorded.clone();
        found.sort_unstable();
        recorded.sort_unstable();
        assert!(found == recorded, "{} found, {} recorded", found.len(), recorded.len());
        let last = recorded.last().unwrap();
        for (path, part) in [
            (format!("/api/v1/transactions/{last}"), format!("\"id\":\"{last}\"")),
            (
                "/api/v1/transactions?user_id=ann&search_query=starbucks&page_size=1".to_owned(),
                format!("\"total\":{}", recorded.len()),
            ),
            (
                "/api/v1/users/ann/statistics".to_owned(),
                format!("\"transaction_count\":{}", recorded.len()),
            ),
        ] {
            let answer = self.client.ask(&Request::get(path));
            assert!(answer.status == 200 && answer.body.contains(&part), "{part}: {answer:?}");
        }
    }
}
