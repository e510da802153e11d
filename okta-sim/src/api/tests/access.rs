//! Tests of tokens, rate limits and injected faults.

use std::time::Duration;

use super::*;

#[tokio::test]
async fn a_token_must_be_known_and_may_do_what_its_admin_may() {
    let sim = Sim::start(ApiOptions::default()).await;
    let url = || sim.url("/api/v1/logs", &[]);
    sim.get_with(url(), &[]).await.assert_refused(401, "expected `SSWS …`");
    sim.get_with(url(), &[("authorization", "SSWS bad")]).await.assert_refused(401, "not known");
    sim.get_with(url(), &[("authorization", "Basic good")]).await.assert_refused(401, "expected `SSWS …`");
    sim.get_with(url(), &[("authorization", "Bearer bad")]).await.assert_refused(401, "not known");
    assert_eq!(sim.logs(&[]).await.status, 200);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let options = ApiOptions {
        tokens: vec![ApiToken { token: "good".to_owned(), scopes: vec![Scope::ReadLogs] }],
        ..ApiOptions::default()
    };
    let apps = AppDirectory::of(&sim.organisation);
    let sim = Sim { api: OktaApi::start(listener, SystemLog::new(), apps, options).unwrap(), ..sim };
    assert_eq!(sim.logs(&[]).await.status, 200);
    sim.get(sim.url("/api/v1/apps", &[])).await.assert_refused(403, "may not do this");
}

#[tokio::test]
async fn the_rate_limit_is_told_and_kept() {
    let rate = RateLimit { requests: 3, window: Duration::from_secs(2) };
    let sim = Sim::start(ApiOptions { rate, ..ApiOptions::default() }).await;
    for remaining in [2, 1, 0] {
        let told = sim.logs(&[]).await;
        assert_eq!((told.status, told.number("x-rate-limit-limit")), (200, 3));
        assert_eq!(told.number("x-rate-limit-remaining"), remaining);
    }
    let told = sim.logs(&[]).await;
    told.assert_refused(429, "E0000047");
    // Each kind of request has its own limit.
    assert_eq!(sim.get(sim.url("/api/v1/apps", &[])).await.status, 200);
    let reset = told.number("x-rate-limit-reset");
    while OffsetDateTime::now_utc().unix_timestamp() < reset {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(sim.logs(&[]).await.number("x-rate-limit-remaining"), 2);
    sim.api.use_up_logs(2);
    sim.logs(&[]).await.assert_refused(429, "E0000047");
}

#[tokio::test]
async fn faults_come_on_demand_one_after_the_other() {
    let sim = Sim::start(ApiOptions::default()).await;
    for status in [401, 403, 500, 503] {
        sim.api.fail_logs(Fault::Status(status), 1);
    }
    sim.api.fail_logs(Fault::TooManyRequests, 1);
    sim.api.fail_logs(Fault::TooManyAtOnce, 1);
    for status in [401, 403, 500, 503, 429] {
        assert_eq!(sim.logs(&[]).await.status, status);
    }
    let told = sim.logs(&[]).await;
    assert_eq!(told.status, 429);
    assert_eq!((told.number("x-rate-limit-limit"), told.number("x-rate-limit-remaining")), (0, 0));
    assert!(told.number("x-rate-limit-reset") > 0);
    sim.api.fail_logs(Fault::NoAnswer, 1);
    let asked = sim.client.get(sim.url("/api/v1/logs", &[])).timeout(Duration::from_millis(100)).send().await;
    assert!(asked.unwrap_err().is_timeout());
    sim.api.fail_logs(Fault::BrokenAnswer, 1);
    let broken = sim.client.get(sim.url("/api/v1/logs", &[])).send().await.unwrap();
    assert!(broken.status().is_success() && broken.bytes().await.is_err());
    assert_eq!(sim.logs(&[]).await.status, 200);
    let sim = Sim::start(ApiOptions { errors: 1.0, ..ApiOptions::default() }).await;
    assert_eq!(sim.logs(&[]).await.status, 500);
}

#[tokio::test]
async fn the_clock_is_the_orgs_and_links_may_lead_elsewhere() {
    let options = ApiOptions {
        clock_ahead: time::Duration::hours(2),
        link_origin: Some("http://elsewhere.example".to_owned()),
        ..ApiOptions::default()
    };
    let sim = Sim::start(options).await;
    let told = sim.logs(&[]).await;
    let date = told.headers["date"].to_str().unwrap().to_owned();
    let ahead = OffsetDateTime::now_utc() + time::Duration::hours(2);
    assert!(date.contains(&format!(" {:02}:", ahead.hour())) && date.ends_with(" GMT"), "{date}");
    assert_eq!(told.link("next").unwrap().host_str(), Some("elsewhere.example"));
}
