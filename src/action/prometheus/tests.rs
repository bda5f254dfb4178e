//! Tests of queries, against servers that say what a Prometheus would or would not say.

use super::super::http::install_crypto;
use super::request;
use crate::action::fixture::{Trial, field};
use crate::engine::Performed;
use crate::event::{ErrorClass, Outcome};
use crate::expr::Rendered;
use crate::plan::{Act, PrometheusAct, RequestBody, TargetAct, TlsAct};
use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;
use indexmap::IndexMap;
use serde_json::json;
use std::time::Duration;

fn act(base: &str) -> PrometheusAct {
    PrometheusAct {
        target: TargetAct {
            name: "prom".to_owned(),
            base: Rendered::text(base),
            headers: IndexMap::new(),
            basic: None,
            bearer: None,
            allow: Vec::new(),
            tls: TlsAct::default(),
        },
        alert: None,
        query: Rendered::text("up"),
        range: None,
        time: None,
        holes: Vec::new(),
    }
}

async fn asked(status: u16, body: &str, alert: bool) -> Performed {
    install_crypto();
    let (status, body) = (StatusCode::from_u16(status).unwrap(), body.to_owned());
    let answer = move || async move { (status, [("content-type", "application/json")], body) };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().route("/api/v1/query", post(answer));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let mut act = act(&format!("http://{address}"));
    act.alert = alert.then(|| "High".to_owned());
    Trial::new().perform(Act::Prometheus(Box::new(act))).await
}

async fn answered(data: &str) -> Performed {
    asked(200, &format!(r#"{{"status":"success","data":{data}}}"#), false).await
}

fn reason(performed: &Performed, name: &str) -> String {
    field(performed, name)["unknown"].as_str().unwrap_or_else(|| panic!("{name} is known: {performed:?}")).to_owned()
}

#[tokio::test]
async fn one_series_or_a_scalar_is_a_number() {
    let one = r#"{"resultType":"vector","result":[{"metric":{"job":"a"},"value":[1772364600.25,"0.5"]}]}"#;
    let performed = answered(one).await;
    assert_eq!(performed.outcome, Outcome::Succeeded, "{performed:?}");
    assert_eq!(field(&performed, "value"), 0.5);
    let series = json!([{ "labels": { "job": "a" }, "value": 0.5, "time": "2026-03-01T11:30:00.25Z" }]);
    assert_eq!(field(&performed, "series"), series);
    assert_eq!((field(&performed, "count"), field(&performed, "empty")), (json!(1), json!(false)));
    assert_eq!((field(&performed, "nan"), field(&performed, "warnings")), (json!(false), json!([])));
    assert!(field(&performed, "elapsed").as_f64().unwrap() > 0.0);
    assert_eq!(performed.evidence.len(), 1);
    let scalar = answered(r#"{"resultType":"scalar","result":[1772364600,"3"]}"#).await;
    assert_eq!((field(&scalar, "value"), field(&scalar, "count")), (json!(3), json!(1)));
    let text = answered(r#"{"resultType":"string","result":[1772364600,"x"]}"#).await;
    assert_eq!(field(&text, "value"), "x");
}

#[tokio::test]
async fn nothing_several_and_nan_are_told_apart() {
    let empty = answered(r#"{"resultType":"vector","result":[]}"#).await;
    assert_eq!(reason(&empty, "value"), "the query returned no series");
    assert_eq!(reason(&empty, "series"), "the query returned no series");
    assert_eq!((field(&empty, "empty"), field(&empty, "count")), (json!(true), json!(0)));
    let several =
        r#"{"resultType":"vector","result":[{"metric":{},"value":[1,"1"]},{"metric":{"a":"b"},"value":[1,"2"]}]}"#;
    assert_eq!(reason(&answered(several).await, "value"), "the query returned 2 series: use `series`");
    let nan = answered(r#"{"resultType":"vector","result":[{"metric":{},"value":[1,"NaN"]}]}"#).await;
    assert_eq!(reason(&nan, "value"), "the sample is NaN");
    assert_eq!(field(&nan, "series")[0]["value"], json!({ "unknown": "the sample is NaN" }));
    assert_eq!((field(&nan, "nan"), field(&nan, "empty")), (json!(true), json!(false)));
    let endless = answered(r#"{"resultType":"vector","result":[{"metric":{},"value":[1,"+Inf"]}]}"#).await;
    assert_eq!((reason(&endless, "value").as_str(), field(&endless, "nan")), ("the sample is +Inf", json!(false)));
    let histogram = r#"{"resultType":"vector","result":[{"metric":{},"histogram":[1,{"count":"1","buckets":[]}]}]}"#;
    assert!(reason(&answered(histogram).await, "value").contains("histogram"));
}

#[tokio::test]
async fn a_range_has_its_least_its_greatest_and_its_mean() {
    let range = r#"{"resultType":"matrix","result":[
        {"metric":{"to":"/a"},"values":[[1,"1"],[2,"4"],[3,"1"]]},
        {"metric":{"to":"/b"},"values":[[1,"1"],[2,"NaN"]]}]}"#;
    let performed = answered(range).await;
    let series = field(&performed, "series");
    let first = json!({
        "labels": { "to": "/a" }, "last": 1, "min": 1, "max": 4, "avg": 2, "count": 3,
        "values": [
            { "value": 1, "time": "1970-01-01T00:00:01Z" },
            { "value": 4, "time": "1970-01-01T00:00:02Z" },
            { "value": 1, "time": "1970-01-01T00:00:03Z" },
        ],
    });
    assert_eq!(series[0], first);
    assert_eq!(series[1]["max"], json!({ "unknown": "1 of 2 samples are no numbers" }));
    assert_eq!(series[1]["last"], json!({ "unknown": "the sample is NaN" }));
    assert_eq!(field(&performed, "nan"), true);
    let one = answered(r#"{"resultType":"matrix","result":[{"metric":{},"values":[[1,"1"],[2,"7"]]}]}"#).await;
    assert_eq!(field(&one, "value"), 7);
    assert_eq!(
        reason(&answered(r#"{"resultType":"matrix","result":[]}"#).await, "series"),
        "the query returned no series"
    );
}

#[tokio::test]
async fn an_alert_that_returns_nothing_is_a_list_without_items() {
    let quiet = asked(200, r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#, true).await;
    assert_eq!((field(&quiet, "firing"), field(&quiet, "count")), (json!([]), json!(0)));
    assert_eq!(reason(&quiet, "value"), "the query returned no series");
    let data = r#"{"resultType":"vector","result":[{"metric":{"a":"b"},"value":[1,"NaN"]}]}"#;
    let loud = asked(200, &format!(r#"{{"status":"success","data":{data}}}"#), true).await;
    assert_eq!((field(&loud, "count"), field(&loud, "firing")[0]["labels"]["a"].clone()), (json!(1), json!("b")));
    let text = asked(200, r#"{"status":"success","data":{"resultType":"string","result":[1,"x"]}}"#, true).await;
    assert_eq!(text.error, Some(ErrorClass::BadValue));
}

#[tokio::test]
async fn warnings_are_told_and_kept() {
    let body = r#"{"status":"success","warnings":["store 3 did not answer"],"infos":["name it _total"],
        "data":{"resultType":"vector","result":[{"metric":{},"value":[1,"1"]}]}}"#;
    let performed = asked(200, body, false).await;
    assert_eq!((performed.outcome, field(&performed, "value")), (Outcome::Succeeded, json!(1)));
    assert_eq!(field(&performed, "warnings"), json!(["store 3 did not answer"]));
    assert_eq!(field(&performed, "infos"), json!(["name it _total"]));
    assert_eq!(performed.message.as_deref(), Some("Prometheus warns: store 3 did not answer"));
}

#[tokio::test]
async fn errors_have_their_class() {
    let said = |sort: &str| format!(r#"{{"status":"error","errorType":"{sort}","error":"1:5: parse error"}}"#);
    let cases = [
        (400, said("bad_data"), Outcome::Failed, ErrorClass::BadValue, "does not take the query: 1:5: parse error"),
        (422, said("execution"), Outcome::Failed, ErrorClass::BadAnswer, "cannot be computed: 1:5"),
        (503, said("timeout"), Outcome::TimedOut, ErrorClass::Timeout, "took too long"),
        (503, said("unavailable"), Outcome::Failed, ErrorClass::Status(503), "cannot answer now"),
        (503, "starting up".to_owned(), Outcome::Failed, ErrorClass::Status(503), "status 503: starting up"),
        (400, "<html>".to_owned(), Outcome::Failed, ErrorClass::Status(400), "status 400: <html>"),
        (500, said("internal"), Outcome::Failed, ErrorClass::Status(500), "status 500"),
        (404, "no".to_owned(), Outcome::Failed, ErrorClass::Status(404), "status 404 Not Found: no"),
        (200, "<html>".to_owned(), Outcome::Failed, ErrorClass::BadAnswer, "no answer of Prometheus"),
        (200, "{}".to_owned(), Outcome::Failed, ErrorClass::BadAnswer, "no answer of Prometheus"),
        (200, r#"{"status":"success"}"#.to_owned(), Outcome::Failed, ErrorClass::BadAnswer, "holds no data"),
        (
            200,
            r#"{"status":"success","data":{"resultType":"odd","result":[]}}"#.to_owned(),
            Outcome::Failed,
            ErrorClass::BadAnswer,
            "odd",
        ),
        (
            200,
            r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":["x",1]}]}}"#
                .to_owned(),
            Outcome::Failed,
            ErrorClass::BadAnswer,
            "invalid type",
        ),
    ];
    for (status, body, outcome, class, words) in cases {
        let performed = asked(status, &body, false).await;
        assert_eq!((performed.outcome, performed.error.clone()), (outcome, Some(class)), "{body}: {performed:?}");
        assert!(performed.message.as_deref().unwrap_or_default().contains(words), "{words}: {performed:?}");
        assert_eq!(reason(&performed, "value"), "there was no answer");
        assert_eq!(reason(&performed, "empty"), "there was no answer");
    }
}

#[tokio::test]
async fn nobody_there_is_a_refused_connection() {
    install_crypto();
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let performed = Trial::new().perform(Act::Prometheus(Box::new(act(&format!("http://{closed}"))))).await;
    assert_eq!((performed.outcome, performed.error.clone()), (Outcome::Failed, Some(ErrorClass::Refused)));
    assert_eq!(reason(&performed, "series"), "there was no answer");
}

#[test]
fn the_form_says_what_is_asked() {
    let pairs = |range, time| {
        let mut act = act("http://host");
        (act.range, act.time) = (range, time);
        let now = "2026-03-01T11:30:00.5Z".parse().unwrap();
        let http = request(&act, Duration::from_millis(1500), now);
        let RequestBody::Form(form) = http.body else { panic!("no form") };
        let pairs: Vec<_> = form.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        format!("{} {}", http.path, pairs.join("&"))
    };
    assert_eq!(pairs(None, None), "/api/v1/query query=up&timeout=1.500");
    let time = "2026-03-01T11:00:00Z".parse().ok();
    assert_eq!(pairs(None, time), "/api/v1/query query=up&time=1772362800.000&timeout=1.500");
    let range = (Duration::from_mins(10), Duration::from_millis(200));
    assert_eq!(
        pairs(Some(range), None),
        "/api/v1/query_range query=up&start=1772364000.500&end=1772364600.500&step=0.200&timeout=1.500"
    );
}

#[tokio::test]
async fn headers_and_credentials_of_the_target_arrive() {
    install_crypto();
    let seen = std::sync::Arc::new(std::sync::Mutex::new(String::new()));
    let kept = std::sync::Arc::clone(&seen);
    let answer = move |headers: axum::http::HeaderMap, body: String| async move {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("none").to_owned();
        *kept.lock().unwrap() = format!("{} {} {body}", header("authorization"), header("x-scope-orgid"));
        r#"{"status":"success","data":{"resultType":"scalar","result":[1,"1"]}}"#
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    // A Prometheus often stands behind a prefix.
    let router = Router::new().route("/prefix/api/v1/query", post(answer));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let mut act = act(&format!("http://{address}/prefix/"));
    act.target.bearer = Some(Rendered::text("token"));
    act.target.headers.insert("X-Scope-OrgID".to_owned(), Rendered::text("one"));
    act.query = Rendered::text("up{a=\"&=+\"}");
    let performed = Trial::new().perform(Act::Prometheus(Box::new(act))).await;
    assert_eq!((performed.outcome, field(&performed, "value")), (Outcome::Succeeded, json!(1)), "{performed:?}");
    let seen = seen.lock().unwrap().clone();
    assert_eq!(seen, "Bearer token one query=up%7Ba%3D%22%26%3D%2B%22%7D&timeout=30.000");
}
