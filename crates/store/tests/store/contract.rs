//! What every store promises, as rules. The suite runs over every backend.

use crate::support::{Books, On, pairs, user};
use daybook_core::query::Query;
use daybook_core::stats::{GroupBy, Interval, Span};
use daybook_core::write_set::Outcome;
use daybook_core::{Rejection, Status, Timestamp};
use jiff::tz::TimeZone;

crate::support::every_store! {
    what_is_recorded_is_found_at_once,
    the_feed_is_newest_first_and_pages_without_gaps_or_repeats,
    the_best_match_comes_first,
    filters_combine_and_each_finds_what_it_says,
    a_source_that_repeats_itself_updates_its_record,
    changes_reach_search_statistics_history_and_sync,
    totals_follow_every_write,
    statistics_count_days_in_the_zone_asked_for,
    a_key_answers_once_and_then_repeats_itself,
    an_atomic_batch_is_all_or_nothing,
    a_foreign_cursor_is_refused,
}

type Test = Result<(), Box<dyn std::error::Error>>;

async fn what_is_recorded_is_found_at_once(on: On) -> Test {
    let books = Books::open(on).await?;
    let id = books
        .record(
            r#"{"user_id":"ana","transaction_type":"card","amount":150.00,
        "metadata":{"merchant_name":"Starbucks","location":"São Paulo"}}"#,
        )
        .await?;
    let item = books.store.transaction(id).await?.ok_or("not there")?;
    assert_eq!(item.version, 1);
    for search in
        ["starbucks", "STARB", "sao", "Starbuks", "150.00", "card completed", "\"sao paulo\""]
    {
        assert_eq!(books.ids("ana", &[("search_query", search)]).await?, [id], "{search}");
    }
    for search in ["starbucks tea", "bucks", "\"paulo sao\"", "\"starbucks sao\""] {
        assert!(books.ids("ana", &[("search_query", search)]).await?.is_empty(), "{search}");
    }
    assert!(books.ids("bob", &[("search_query", "starbucks")]).await?.is_empty());
    books.verified().await
}

async fn the_feed_is_newest_first_and_pages_without_gaps_or_repeats(on: On) -> Test {
    let books = Books::open(on).await?;
    let mut expected = Vec::new();
    for n in 0..57 {
        // Many share a second, some share the very moment.
        let body = format!(
            r#"{{"user_id":"ana","transaction_type":"card","amount":{n},"status":"{}",
            "created_at":"2024-03-01T10:00:{:02}.{:06}Z","metadata":{{"merchant_name":"Shop {}"}}}}"#,
            if n % 3 == 0 { "pending" } else { "completed" },
            n % 4,
            (n % 5) * 1000,
            n % 2
        );
        let id = books.record(&body).await?;
        let item = books.store.transaction(id).await?.ok_or("not there")?;
        expected.push((item.created_at, id, n));
    }
    expected.sort_unstable_by(|a, b| b.cmp(a));
    let all: Vec<_> = expected.iter().map(|(_, id, _)| *id).collect();
    let filtered: Vec<_> =
        expected.iter().filter(|(_, _, n)| n % 3 == 0).map(|(_, id, _)| *id).collect();
    for limit in ["1", "2", "7", "20", "56", "57", "100"] {
        assert_eq!(books.walk("ana", &[], limit).await?, all, "cursor, {limit}");
        assert_eq!(books.leaf("ana", &[], limit).await?, all, "page, {limit}");
        let pending = [("status", "pending")];
        assert_eq!(books.walk("ana", &pending, limit).await?, filtered, "cursor, {limit}");
        assert_eq!(books.leaf("ana", &pending, limit).await?, filtered, "page, {limit}");
        let newest = [("search_query", "shop"), ("sort", "-created_at")];
        assert_eq!(books.walk("ana", &newest, limit).await?, all, "search, {limit}");
        let best = [("search_query", "shop")];
        assert_eq!(books.walk("ana", &best, limit).await?, all, "best, {limit}");
    }
    Ok(())
}

async fn the_best_match_comes_first(on: On) -> Test {
    let books = Books::open(on).await?;
    let mut ids = Vec::new();
    for merchant in ["Market", "Marketing", "Marked", "Market Hall"] {
        ids.push(
            books
                .record(&format!(
                    r#"{{"user_id":"ana","transaction_type":"card","amount":1,
            "metadata":{{"merchant_name":"{merchant}"}}}}"#
                ))
                .await?,
        );
    }
    let found = books.ids("ana", &[("search_query", "market")]).await?;
    assert_eq!(found, [ids[3], ids[0], ids[1], ids[2]]);
    assert_eq!(books.walk("ana", &[("search_query", "market")], "1").await?, found);
    Ok(())
}

async fn filters_combine_and_each_finds_what_it_says(on: On) -> Test {
    let books = Books::open(on).await?;
    let a = books.record(r#"{"user_id":"ana","transaction_type":"card","amount":10.50,"currency":"EUR",
        "created_at":"2024-05-01T23:30:00Z","source":"pos","external_id":"1",
        "metadata":{"merchant_name":"Café Zoë","n":3,"tags":["x","y"],"geo":{"city":"Kraków","lat":50.06}}}"#).await?;
    let b = books
        .record(
            r#"{"user_id":"ana","transaction_type":"p2p","amount":2000,"currency":"JPY",
        "created_at":"2024-05-02T00:30:00Z","status":"pending",
        "metadata":{"direction":"received","peer_name":"Bob","n":20,"ok":true}}"#,
        )
        .await?;
    let cases: &[(&[(&str, &str)], &[_])] = &[
        (&[], &[b, a]),
        (&[("transaction_type", "card")], &[a]),
        (&[("transaction_type", "card"), ("transaction_type", "p2p")], &[b, a]),
        (&[("status", "pending")], &[b]),
        (&[("currency", "eur")], &[a]),
        (&[("side", "credit")], &[b]),
        (&[("product", "Card")], &[a]),
        (&[("start_date", "2024-05-02")], &[b]),
        (&[("end_date", "2024-05-01")], &[a]),
        (&[("end_date", "2024-05-02T00:30:00Z")], &[b, a]),
        (&[("start_date", "2024-05-02T00:30:00.000001Z")], &[]),
        (&[("min_amount", "10.50"), ("max_amount", "10.5")], &[a]),
        (&[("min_amount", "100")], &[b]),
        (&[("merchant_name", "cafe zoe")], &[a]),
        (&[("direction", "received"), ("peer_name", "Bob")], &[b]),
        (&[("metadata.geo.city", "krakow")], &[a]),
        (&[("metadata.n", "3.0")], &[a]),
        (&[("metadata.n", "3"), ("metadata.n", "20")], &[b, a]),
        (&[("metadata.n[gte]", "3")], &[b, a]),
        (&[("metadata.n[gt]", "3")], &[b]),
        (&[("metadata.n[lt]", "20"), ("metadata.n[gte]", "-1e3")], &[a]),
        (&[("metadata.geo.lat[lte]", "50.060")], &[a]),
        (&[("metadata.tags", "y")], &[a]),
        (&[("metadata.ok", "true")], &[b]),
        (&[("metadata.ok[ne]", "true")], &[a]),
        (&[("metadata.geo[exists]", "true")], &[a]),
        (&[("metadata.geo[exists]", "false")], &[b]),
        (&[("source", "pos"), ("external_id", "1")], &[a]),
        (&[("external_id", "2")], &[]),
        (&[("search_query", "card"), ("metadata.n[gte]", "1"), ("min_amount", "1")], &[a]),
    ];
    for (filters, expected) in cases {
        assert_eq!(books.ids("ana", filters).await?, *expected, "{filters:?}");
        assert_eq!(books.walk("ana", filters, "1").await?, *expected, "{filters:?} by cursor");
        let total = books.store.transactions(books.query("ana", filters)?).await?.total;
        assert_eq!(total, Some(expected.len() as u64), "{filters:?} total");
    }
    Ok(())
}

async fn a_source_that_repeats_itself_updates_its_record(on: On) -> Test {
    let books = Books::open(on).await?;
    let body = |status: &str, amount: &str| {
        format!(
            r#"{{"user_id":"ana","transaction_type":"card","amount":{amount},"status":"{status}",
        "source":"pos","external_id":"7","created_at":"2024-01-01T00:00:00Z"}}"#
        )
    };
    let first = books.send(&body("pending", "5")).await?;
    let again = books.send(&body("pending", "5")).await?;
    let done = books.send(&body("completed", "6")).await?;
    let late = books.send(&body("pending", "5")).await?;
    let kinds: Vec<_> = [&first, &again, &done, &late]
        .map(|outcome| match outcome {
            Outcome::Created(r) => ("created", r.version),
            Outcome::Updated(r) => ("updated", r.version),
            Outcome::Unchanged(r) => ("unchanged", r.version),
            Outcome::Ignored(r) => ("ignored", r.version),
            Outcome::Deleted(_) => ("deleted", 0),
        })
        .into();
    assert_eq!(kinds, [("created", 1), ("unchanged", 1), ("updated", 2), ("ignored", 2)]);
    assert_eq!(books.ids("ana", &[]).await?.len(), 1);
    books.verified().await
}

async fn changes_reach_search_statistics_history_and_sync(on: On) -> Test {
    let books = Books::open(on).await?;
    let id = books
        .record(
            r#"{"user_id":"ana","transaction_type":"card","amount":10,"status":"pending",
        "created_at":"2024-05-01T10:00:00Z","metadata":{"merchant_name":"Alpha"}}"#,
        )
        .await?;
    books.patch(id, r#"{"status":"completed","metadata":{"merchant_name":"Beta"}}"#).await?;
    assert!(books.ids("ana", &[("search_query", "alpha")]).await?.is_empty());
    assert_eq!(books.ids("ana", &[("search_query", "beta")]).await?, [id]);
    books.patch(id, r#"{"created_at":"2023-05-01T10:00:00Z","amount":"7.25"}"#).await?;
    assert_eq!(books.ids("ana", &[("end_date", "2023-12-31")]).await?, [id]);
    let refused = books.patch(id, r#"{"status":"failed"}"#).await;
    assert!(matches!(refused, Err(Rejection::IllegalMove { from: Status::Completed, .. })));
    let statistics = books.statistics("ana", Span::all()).await?;
    assert_eq!(statistics[0].total_transaction_value, "7.25");
    assert_eq!(statistics[0].largest.as_deref(), Some("7.25"));
    books.verified().await?;
    books.erase(id).await?;
    assert!(books.ids("ana", &[]).await?.is_empty());
    assert!(books.ids("ana", &[("search_query", "beta")]).await?.is_empty());
    assert!(books.statistics("ana", Span::all()).await?.is_empty());
    let versions: Vec<u32> = books.store.history(id).await?.iter().map(|e| e.version).collect();
    assert_eq!(versions, [1, 2, 3, 4]);
    let changes = books.store.changes(user("ana"), Default::default(), 3).await?;
    assert!(changes.has_more && changes.events.len() == 3);
    let rest = books.store.changes(user("ana"), changes.next, 3).await?;
    assert!(!rest.has_more && rest.events.len() == 1);
    books.verified().await
}

async fn totals_follow_every_write(on: On) -> Test {
    let books = Books::open(on).await?;
    let total = async || -> Result<u64, Box<dyn std::error::Error>> {
        Ok(books.store.transactions(books.query("ana", &[])?).await?.total.unwrap_or(0))
    };
    assert_eq!(total().await?, 0);
    let body = r#"{"user_id":"ana","transaction_type":"card","amount":1,"status":"failed"}"#;
    let id = books.record(body).await?;
    assert_eq!(total().await?, 1);
    assert_eq!(total().await?, 1);
    books.record(body).await?;
    assert_eq!(total().await?, 2);
    books.erase(id).await?;
    assert_eq!(total().await?, 1);
    Ok(())
}

async fn statistics_count_days_in_the_zone_asked_for(on: On) -> Test {
    let books = Books::open(on).await?;
    for (at, amount) in [
        ("2024-05-01T21:59:59Z", 1),
        ("2024-05-01T22:00:00Z", 2),
        ("2024-05-02T10:00:00Z", 4),
        ("2024-05-02T22:10:00Z", 8),
        ("1935-06-01T23:45:00Z", 16),
    ] {
        books.record(&format!(
            r#"{{"user_id":"ana","transaction_type":"card","amount":{amount},"created_at":"{at}"}}"#
        )).await?;
    }
    let span = |from: &str, to: &str, tz: &str| -> Result<Span, Box<dyn std::error::Error>> {
        let tz = TimeZone::get(tz)?;
        let from = daybook_core::time::Moment::parse(from)?.start(&tz);
        let to = daybook_core::time::Moment::parse(to)?.end(&tz);
        Ok(Span { from, to, tz })
    };
    for (from, to, tz, total, day) in [
        ("2024-01-01", "2024-12-31", "UTC", "15.00", "2024-05-01"),
        ("2024-01-01", "2024-12-31", "Europe/Madrid", "15.00", "2024-05-02"),
        ("2024-05-02", "2024-05-02", "Europe/Madrid", "6.00", "2024-05-02"),
        ("2024-05-01T21:59:59Z", "2024-05-01T22:00:00Z", "UTC", "3.00", "2024-05-01"),
        // Nepal is 5:45 ahead; Amsterdam was 19 minutes and 32 seconds ahead until 1937.
        ("2024-05-03", "2024-05-03", "Asia/Kathmandu", "8.00", "2024-05-03"),
        ("1935-06-02", "1935-06-02", "Europe/Amsterdam", "16.00", "1935-06-02"),
    ] {
        let found = books.statistics("ana", span(from, to, tz)?).await?;
        assert_eq!(found[0].total_transaction_value, total, "{from} {to} {tz}");
        let busiest = found[0].highest_transaction_day.as_ref().map(|day| day.date.as_str());
        assert_eq!(busiest, Some(day), "{from} {to} {tz}");
    }
    let madrid = span("2024-01-01", "2024-12-31", "Europe/Madrid")?;
    let series =
        books.store.series(user("ana"), madrid, Vec::new(), Interval::Day, GroupBy::None).await?;
    let points: Vec<_> =
        series[0].groups[0].points.iter().map(|p| (p.date.as_str(), p.total.as_str())).collect();
    assert_eq!(points, [("2024-05-01", "1.00"), ("2024-05-02", "6.00"), ("2024-05-03", "8.00")]);
    Ok(())
}

async fn a_key_answers_once_and_then_repeats_itself(on: On) -> Test {
    let books = Books::open(on).await?;
    let body = r#"{"user_id":"ana","transaction_type":"card","amount":1}"#;
    let mut waiting = Vec::new();
    for _ in 0..50 {
        waiting.push(books.with_key(body, 9));
    }
    let replies = futures_util::future::join_all(waiting).await;
    let mut fresh = 0;
    let mut bodies = std::collections::HashSet::new();
    for reply in replies {
        let reply = reply?;
        fresh += usize::from(!reply.replayed);
        match &reply.verdicts[..] {
            [Ok(Outcome::Created(recorded))] => bodies.insert(recorded.body.to_string()),
            other => return Err(format!("{other:?}").into()),
        };
    }
    assert_eq!((fresh, bodies.len()), (1, 1));
    assert_eq!(books.ids("ana", &[]).await?.len(), 1);
    let other =
        books.with_key(r#"{"user_id":"ana","transaction_type":"card","amount":2}"#, 9).await?;
    assert_eq!(other.verdicts, [Err(Rejection::KeyReused)]);
    books.verified().await
}

async fn an_atomic_batch_is_all_or_nothing(on: On) -> Test {
    let books = Books::open(on).await?;
    let good = r#"{"user_id":"ana","transaction_type":"card","amount":1}"#;
    let refused = books.batch(&[good, good], true, true).await?;
    assert_eq!(refused.verdicts.iter().filter(|v| v.is_ok()).count(), 0);
    assert!(books.ids("ana", &[]).await?.is_empty());
    let mixed = books.batch(&[good, good], false, true).await?;
    assert_eq!(mixed.verdicts.iter().filter(|v| v.is_ok()).count(), 2);
    books.verified().await
}

async fn a_foreign_cursor_is_refused(on: On) -> Test {
    let books = Books::open(on).await?;
    for _ in 0..3 {
        books.record(r#"{"user_id":"ana","transaction_type":"card","amount":1}"#).await?;
    }
    let query = books.query("ana", &[("limit", "1")])?;
    let digest = query.digest;
    let next = books.store.transactions(query).await?.next.ok_or("no next page")?;
    let cursor = next.encode(digest);
    for (owner, filters) in [("ana", [("status", "completed")]), ("bob", [("limit", "1")])] {
        let mut filters = filters.to_vec();
        filters.push(("cursor", &cursor));
        assert!(Query::parse(&pairs(&filters), Some(&user(owner))).is_err());
    }
    let _: Timestamp = next.created_at;
    Ok(())
}
