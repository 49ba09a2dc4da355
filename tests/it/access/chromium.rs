//! A real browser claims the box, manages it and is kept out: what it sends with forms is what `origin` expects, on an
//! address it trusts (127.0.0.1, `Sec-Fetch-Site`) and on a name it does not (`Origin` alone).

use harness::{browser::Browser, granary::Granary};

use super::{NAME, PASSWORD, pin};

fn log_in(browser: &Browser) {
    browser.fill("Your name", NAME);
    browser.fill("Password", PASSWORD);
    browser.press("Log in");
}

#[test]
fn chromium_claims_the_box_and_manages_people() {
    let granary = Granary::start();
    let door = granary.addr("http");
    let browser = Browser::with_pac(&format!("http://{door}/proxy.pac"));
    browser.open(&format!("http://{door}/claim"));
    assert_eq!(browser.barriers(), Vec::<String>::new());
    browser.screens("claim");
    browser.fill("PIN", "00 00");
    browser.fill("Your name", NAME);
    browser.fill("Password", PASSWORD);
    browser.fill("The same password again", PASSWORD);
    browser.press("Become the owner");
    assert!(browser.text().contains("9 tries are left"), "{}", browser.text());
    browser.fill("PIN", &pin(&granary));
    browser.fill("Password", PASSWORD);
    browser.fill("The same password again", PASSWORD);
    browser.press("Become the owner");
    assert!(browser.text().contains("Log out"), "{}", browser.text());
    browser.open(&format!("http://{door}/people"));
    browser.fill("Name of the program", "backup");
    browser.press("Make a token");
    assert!(
        browser.text().contains("shown only this once"),
        "{}",
        browser.text()
    );
    assert_eq!(browser.barriers(), Vec::<String>::new());
    browser.whole_screens("people");
    browser.press("Log out");
    // By name, through the proxy: no longer an address the browser trusts.
    browser.open("http://box.btlink/people");
    assert_eq!(browser.title(), "Log in – Granary", "{}", browser.text());
    assert_eq!(browser.barriers(), Vec::<String>::new());
    browser.screens("login");
    log_in(&browser);
    assert_eq!(
        browser.title(),
        "People and programs – Granary",
        "{}",
        browser.text()
    );
    browser.open("http://box.btlink/password");
    assert_eq!(browser.barriers(), Vec::<String>::new());
    browser.screens("password");
    assert_eq!(
        browser.eval("return document.cookie"),
        "",
        "scripts see no cookie"
    );
    browser.press("Log out");
    assert!(!browser.text().contains("Log out"), "{}", browser.text());
}
