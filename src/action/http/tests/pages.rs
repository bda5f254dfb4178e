//! Tests of answers in pages.

use super::*;
use crate::expr::Expr;
use crate::plan::{PagesAct, Values};
use crate::source::Span;
use axum::extract::Query;
use axum::http::HeaderMap;
use std::collections::HashMap;

fn expr(text: &str) -> Expr {
    Expr::parse(text, &|_| Span::default()).unwrap()
}

fn pages(items: &str, next: &str, param: Option<&str>, limit: Option<usize>) -> PagesAct {
    let roots = indexmap::IndexMap::from([("size".to_owned(), Value::from(2))]);
    let values = Values::new(roots, [], crate::expr::UnknownSort::Unobtained);
    PagesAct {
        items: expr(items),
        next: expr(next),
        param: param.map(str::to_owned),
        limit: limit.unwrap_or(10_000),
        scope: values.scope(jiff::Timestamp::UNIX_EPOCH),
    }
}

/// Five items, two a page, asked for in every common way.
async fn shelf() -> String {
    let list = |from: usize| -> Vec<usize> { (from..5).take(2).collect() };
    let token = move |Query(query): Query<HashMap<String, String>>| async move {
        let from: usize = query.get("pageToken").map_or(0, |token| token.trim_start_matches("t&").parse().unwrap());
        let next = if from + 2 < 5 { format!("t&{}", from + 2) } else { String::new() };
        axum::Json(json!({ "items": list(from), "nextPageToken": next, "kind": query.get("kind") }))
    };
    let link = move |Query(query): Query<HashMap<String, usize>>| async move {
        let from = query.get("from").copied().unwrap_or(0);
        let mut headers = HeaderMap::new();
        if from + 2 < 5 {
            headers.insert("link", format!("</link?from={}>; rel=\"next\"", from + 2).parse().unwrap());
        }
        (
            headers,
            axum::Json(json!({ "items": list(from), "next": (from + 2 < 5).then(|| format!("?from={}", from + 2)) })),
        )
    };
    let offset = move |Query(query): Query<HashMap<String, usize>>| async move {
        axum::Json(list(query.get("offset").copied().unwrap_or(0)))
    };
    let ring = || async { axum::Json(json!({ "items": [1], "next": "/ring" })) };
    let long = |Query(query): Query<HashMap<String, usize>>| async move {
        let page = query.get("page").copied().unwrap_or(0);
        axum::Json(json!({ "items": [page], "next": page + 1 }))
    };
    let breaks = |Query(query): Query<HashMap<String, usize>>| async move {
        match query.get("page") {
            None => Ok(axum::Json(json!({ "items": [1], "next": 2 }))),
            Some(_) => Err(StatusCode::BAD_GATEWAY),
        }
    };
    let far = || async { axum::Json(json!({ "items": [1], "next": "http://elsewhere.invalid/x" })) };
    server(
        Router::new()
            .route("/token", get(token))
            .route("/link", get(link))
            .route("/offset", get(offset))
            .route("/ring", get(ring))
            .route("/long", get(long))
            .route("/breaks", get(breaks))
            .route("/far", get(far)),
    )
    .await
}

async fn read(path: &str, rule: PagesAct) -> Performed {
    let mut act = act(&shelf().await, Method::Get, path);
    act.query = vec![("kind".to_owned(), Rendered::text("a b"))];
    if path == "/offset" || path == "/link" || path == "/long" || path == "/breaks" {
        act.query.clear();
    }
    act.pages = Some(rule);
    run(Trial::new(), act).await
}

#[tokio::test]
async fn every_common_form_is_followed_to_the_end() {
    let forms = [
        ("/token", pages("body.items", "body.nextPageToken", Some("pageToken"), None)),
        ("/link", pages("body.items", "body.next", None, Some(5))),
        ("/offset", pages("body", "count if items | length == size else none", Some("offset"), None)),
    ];
    for (path, rule) in forms {
        let performed = read(path, rule).await;
        assert_eq!(ended(&performed), (Outcome::Succeeded, None), "{path}: {performed:?}");
        assert_eq!(field(&performed, "items"), json!([0, 1, 2, 3, 4]), "{path}");
        assert_eq!((field(&performed, "count"), field(&performed, "pages")), (json!(5), json!(3)), "{path}");
        let streams: Vec<_> = performed.evidence.iter().map(|kept| kept.stream.as_str()).collect();
        assert_eq!(streams, ["body", "body-2", "body-3"], "{path}");
    }
    let performed = read("/token", pages("body.items", "body.nextPageToken", Some("pageToken"), None)).await;
    assert_eq!(field(&performed, "body"), json!({ "items": [4], "nextPageToken": "", "kind": "a b" }));
}

#[tokio::test]
async fn no_list_is_cut_in_silence() {
    let cases = [
        ("/ring", pages("body.items", "body.next", None, None), "the pages go round"),
        ("/long", pages("body.items", "body.next", Some("page"), Some(3)), "page 4: there are more than 3 items"),
        ("/far", pages("body.items", "body.next", None, None), "is not at the target (`http://elsewhere.invalid/x`)"),
        (
            "/token",
            pages("body.items", "body.nextToken", Some("pageToken"), None),
            "write `body.nextToken | default('')`",
        ),
        ("/token", pages("body.things", "body.nextPageToken", Some("pageToken"), None), "`body.things` is unknown"),
        ("/token", pages("body.kind", "body.nextPageToken", Some("pageToken"), None), "`body.kind` is not a list"),
        ("/token", pages("body.items", "body.items", Some("pageToken"), None), "neither a text nor a whole number"),
    ];
    for (path, rule, words) in cases {
        let performed = read(path, rule).await;
        assert_eq!(ended(&performed), (Outcome::Failed, Some(ErrorClass::BadAnswer)), "{path}: {performed:?}");
        assert!(message(&performed).contains(words), "{words}: {performed:?}");
        assert_eq!(field(&performed, "items"), json!({ "unknown": "not every page was read" }));
    }
}

#[tokio::test]
async fn a_page_that_fails_fails_all_of_them() {
    let performed = read("/breaks", pages("body.items", "body.next", Some("page"), None)).await;
    assert_eq!(ended(&performed), (Outcome::Failed, Some(ErrorClass::Status(502))), "{performed:?}");
    assert_eq!(message(&performed), "page 2: status 502 Bad Gateway");
    assert_eq!(field(&performed, "count"), json!({ "unknown": "not every page was read" }));
    assert_eq!(field(&performed, "pages"), 2);
}

#[tokio::test]
async fn all_pages_have_one_deadline() {
    let slow = |Query(query): Query<HashMap<String, usize>>| async move {
        tokio::time::sleep(Duration::from_millis(60)).await;
        axum::Json(json!({ "items": [1], "next": query.get("page").copied().unwrap_or(0) + 1 }))
    };
    let base = server(Router::new().route("/", get(slow))).await;
    let mut act = act(&base, Method::Get, "/");
    act.pages = Some(pages("body.items", "body.next", Some("page"), None));
    let performed = run(Trial::new().timeout(400), act).await;
    assert_eq!(ended(&performed), (Outcome::TimedOut, Some(ErrorClass::Timeout)), "{performed:?}");
    assert!(field(&performed, "pages").as_u64().unwrap() > 1, "{performed:?}");
}
