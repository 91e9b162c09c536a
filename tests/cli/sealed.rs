//! What is sealed is found nowhere: not in the files of a store or the rows of a database, not in a
//! backup, and not in a log of everything.

use std::fs::File;

use daybook_core::kind::{KINDS, Kind};
use serde_json::{Value, json};

use crate::folder::Folder;
use crate::serve::Server;
use crate::stores::{self, On, every_store};

every_store! {
    of_a_busy_server_nothing_sealed_is_found_at_rest_or_in_the_log,
}

const CONFIGURED: &str =
    "[encryption]\nkey_file = \"master.keys\"\nfields = [\"tax_id\", \"*.nickname\"]\n";
/// What those fields are called.
const ADDED: [&str; 2] = ["tax_id", "nickname"];
/// What is no secret and stands in every item, and whose items they are.
const PUBLIC: &str = "zqopenlyknown";
const IMPORTED: &str = "zqimported";
const POSTED: &str = "zqposted";

/// Selects each column of each table as a text, bytes with what letters they have.
const COLUMNS: &str = "select format('select coalesce(%s, '''') from %I.%I', \
         case when a.atttypid = 'bytea'::regtype then format('encode(%I, ''escape'')', a.attname) \
              else format('%I::text', a.attname) end, n.nspname, c.relname) \
     from pg_attribute a \
     join pg_class c on c.oid = a.attrelid \
     join pg_namespace n on n.oid = c.relnamespace \
     where c.relkind in ('r', 'p', 'm') and a.attnum > 0 and not a.attisdropped \
         and n.nspname not in ('pg_catalog', 'pg_toast', 'information_schema')";

fn of_a_busy_server_nothing_sealed_is_found_at_rest_or_in_the_log(on: On) {
    let (folder, database) = (Folder::new(), on.database());
    let store = database.as_ref().map_or("sqlite:daybook.db", |database| database.url.as_str());
    folder.write("daybook.toml", format!("store = \"{store}\"\n{CONFIGURED}"));
    folder.write("master.keys", folder.ok(&["keys", "generate"]));
    let mut secrets = Secrets::default();

    let items = KINDS.iter().map(|kind| format!("{}\n", item(*kind, IMPORTED, &mut secrets)));
    folder.write("items.ndjson", items.collect::<String>());
    let imported = folder.run(&["import", "items.ndjson", "--log", "trace"]);
    assert!(imported.stdout.contains(&format!("{} created", KINDS.len())), "{imported:?}");
    let mut command = folder.command(&["serve", "--listen", "127.0.0.1:0", "--log", "trace"]);
    command.stderr(File::create(folder.path("log")).unwrap());
    let server = Server::wait_logging(command);
    keep_busy(&server, &mut secrets);
    let mut parts = match &database {
        Some(database) => {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            let rows = runtime.block_on(rows(&database.url));
            vec![("the books", PUBLIC, rows.clone()), ("the ring", POSTED, rows)]
        }
        None => files(&folder),
    };
    assert_eq!(server.terminate(), Some(0));

    // Whoever looks does find what is no secret.
    for (part, public, text) in &parts {
        assert!(text.contains(public), "{public} in {part}");
    }
    let log = folder.read("log");
    assert!(log.contains("DEBUG"), "more is logged than by default: {log}");
    parts.push(("the log", "", log.to_lowercase()));
    parts.push(("the import's output", "", (imported.stdout + &imported.stderr).to_lowercase()));
    for secret in &secrets.hidden {
        for (part, _, text) in &parts {
            assert_eq!(text.find(secret.as_str()), None, "{secret} in {part}");
        }
    }
    let verified = folder.ok(&["verify"]);
    assert!(verified.trim_end().ends_with("all agree"), "{verified}");
}

/// Makes values to seal, and remembers what of them must not be found.
#[derive(Default)]
struct Secrets {
    made: u64,
    /// In lower case, as what is looked through.
    hidden: Vec<String>,
}

impl Secrets {
    /// A value that the rules of its field accept, and that stands nowhere else.
    fn make(&mut self, field: &str) -> String {
        self.made += 1;
        let number = self.made;
        let word = format!("zq{}{number:05}", field.replace('_', ""));
        let value = match field {
            "email" | "peer_email" => format!("{word}@example.org"),
            "phone" | "peer_phone" => format!("+4479{number:08}"),
            "gross_amount" | "tax" => format!("7403{number:08}"),
            "iban" => iban(number),
            _ if field.ends_with("last_four") => (9_100 + number).to_string(),
            _ => word,
        };
        if field.ends_with("last_four") {
            // Four digits alone are found by chance: they are looked for as a text of JSON and as
            // people read them, and not as a word of an index.
            self.hidden.extend([format!("\"{value}\""), format!("• {value}")]);
        } else {
            // An index has words, without what stands around and between them.
            let (word, _) = value.split_once('@').unwrap_or((value.as_str(), ""));
            self.hidden.push(word.trim_start_matches('+').to_lowercase());
        }
        value
    }
}

/// A German account number with the right check digits (ISO 13616).
fn iban(number: u64) -> String {
    let account = 740_370_440_532_000_000 + u128::from(number);
    // The country's letters and two zeros stand behind it, as numbers.
    let check = 98 - (account * 1_000_000 + 131_400) % 97;
    format!("DE{check:02}{account}")
}

/// An item with all that its kind seals.
fn item(kind: &dyn Kind, user: &str, secrets: &mut Secrets) -> Value {
    let mut item: Value = serde_json::from_str(kind.example()).unwrap();
    item["user_id"] = user.into();
    item["metadata"]["known"] = PUBLIC.into();
    for field in kind.secrets().iter().copied().chain(ADDED) {
        item["metadata"][field] = secrets.make(field).into();
    }
    item
}

/// Records, changes and finds items of every kind, is refused, and erases one.
fn keep_busy(server: &Server, secrets: &mut Secrets) {
    let mut keys = 0;
    let mut ask = |status: &str, line: &str, body: &str| {
        keys += 1;
        let answer = server.send(&format!(
            "{line} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
             content-type: application/json\r\nidempotency-key: key-{keys}\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        ));
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{line}: {answer}");
        answer
    };
    let mut paths = Vec::new();
    for kind in KINDS {
        let mut item = item(*kind, POSTED, secrets);
        let created = ask("201", "POST /api/v1/transactions", &item.to_string());
        let (_, created) = created.split_once("\r\n\r\n").unwrap();
        let created: Value = serde_json::from_str(created).unwrap();
        assert_eq!(created["metadata"], item["metadata"]);
        let path = format!("/api/v1/transactions/{}", created["id"].as_str().unwrap());
        // One that is refused when it is read, and one that is refused when it is decided.
        item["amount"] = "nothing".into();
        ask("422", "POST /api/v1/transactions", &item.to_string());
        let tax_id = secrets.make("tax_id");
        let back = json!({ "status": "pending", "metadata": { "tax_id": tax_id } });
        ask("409", &format!("PATCH {path}"), &back.to_string());
        let change =
            json!({ "metadata": { "tax_id": tax_id, "nickname": secrets.make("nickname") } });
        ask("200", &format!("PATCH {path}"), &change.to_string());

        let feed = |filter: &str| {
            let found = server.get(&format!("/api/v1/transactions?user_id={POSTED}&{filter}"));
            assert!(found.starts_with("HTTP/1.1 200"), "{filter}: {found}");
            found
        };
        assert!(feed(&format!("search_query={tax_id}")).contains("\"total\":0"));
        let found = feed(&format!("metadata.tax_id={tax_id}"));
        assert!(found.contains("\"total\":1") && found.contains(&tax_id), "{found}");
        paths.push(path);
    }
    ask("204", &format!("DELETE {}", paths[0]), "");
    // Accounts and transfers have secrets too, and what shows a transfer in both feeds.
    for (account, user) in [(1, POSTED), (2, IMPORTED)] {
        let metadata = json!({ "iban": secrets.make("iban"), "tax_id": secrets.make("tax_id") });
        let account = json!({
            "account_id": account, "user_id": user, "initial_balance": "9.00", "metadata": metadata
        });
        ask("201", "POST /api/v1/accounts", &account.to_string());
    }
    let metadata = json!({ "note": secrets.make("note"), "tax_id": secrets.make("tax_id") });
    let transfer = json!({
        "source_account_id": 1, "destination_account_id": 2, "amount": "1.00", "pending": true,
        "metadata": metadata
    });
    let held = ask("201", "POST /api/v1/transfers", &transfer.to_string());
    let (_, held) = held.split_once("\r\n\r\n").unwrap();
    let held: Value = serde_json::from_str(held).unwrap();
    assert_eq!(held["metadata"], metadata);
    let post = format!("POST /api/v1/transfers/{}/post", held["id"].as_str().unwrap());
    let posted = ask("200", &post, "{}");
    assert!(posted.contains(metadata["note"].as_str().unwrap()), "{posted}");
}

/// The files of a store while a server uses it, and a backup; each with what is to be found there.
fn files(folder: &Folder) -> Vec<(&'static str, &'static str, String)> {
    folder.ok(&["backup", "backup.db"]);
    let log = std::fs::metadata(folder.path("daybook.db-wal")).unwrap();
    assert!(log.len() > 0, "the write-ahead log is empty");
    let read = |names: &[&str]| {
        let bytes = names.iter().flat_map(|name| std::fs::read(folder.path(name)).unwrap());
        String::from_utf8_lossy(&bytes.collect::<Vec<u8>>()).to_lowercase()
    };
    vec![
        ("the books", PUBLIC, read(&["daybook.db", "daybook.db-wal"])),
        ("the write-ahead log", PUBLIC, read(&["daybook.db-wal"])),
        ("the ring", POSTED, read(&["daybook.db-keys", "daybook.db-keys-wal"])),
        ("the backup", PUBLIC, read(&["backup.db"])),
    ]
}

/// Everything that a database has in its tables.
async fn rows(url: &str) -> String {
    let client = stores::connect(url).await.unwrap();
    let mut all = String::new();
    for column in client.query(COLUMNS, &[]).await.unwrap() {
        for row in client.query(column.get::<_, &str>(0), &[]).await.unwrap() {
            all.push_str(&row.get::<_, &str>(0).to_lowercase());
            all.push('\n');
        }
    }
    all
}
