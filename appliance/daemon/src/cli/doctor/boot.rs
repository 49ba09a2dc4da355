//! Is this boot good? What a home cannot be without: names, pages, a store that keeps what it is given. Over within half a
//! minute whatever hangs.

use std::{future::Future, net::SocketAddr, time::Duration};

use hyper::Method;
use serde_json::Value;

use super::{Check, network};
use crate::{
    arrangement::{load_pac, reachable},
    cli::{Place, reach::Reach},
    home::Home,
    tasks::Tasks,
};

const DEADLINE: Duration = Duration::from_secs(10);

pub async fn checks(place: &Place, home: &Home) -> Vec<Check> {
    let (names, (pages, store)) = tokio::join!(names(home), web(place));
    vec![names, check("pages", pages), check("store", store)]
}

async fn names(home: &Home) -> Check {
    match home.status().await {
        Ok(status) => network::own_answer(&status).await,
        Err(err) => check("names", Err(err.to_string())),
    }
}

/// Pages and store, both asked of the web half.
async fn web(place: &Place) -> (Result<String, String>, Result<String, String>) {
    let tasks = Tasks::new();
    let running = within(async {
        Reach::running(place, &tasks)
            .await
            .map_err(|fault| fault.to_string())
    });
    let client = match running.await {
        Ok(Some(client)) => client,
        Ok(None) => {
            let nobody = || Err("the web half does not run: start `granary web`".to_owned());
            return (nobody(), nobody());
        }
        Err(why) => return (Err(why.clone()), Err(why)),
    };
    let ask = |method, target| {
        let asked = client.ask(method, target, None);
        within(async { asked.await.map_err(|err| err.to_string()) })
    };
    let pages = async {
        let status = ask(Method::GET, "/api/v1/status").await?;
        let addr = door(&status).ok_or("no address is open for browsers")?;
        load_pac(reachable(addr)).await?;
        Ok(format!("{addr} serves"))
    };
    let store = async {
        ask(Method::POST, "/api/v1/health/store").await?;
        Ok("reads and writes".to_owned())
    };
    tokio::join!(pages, store)
}

fn door(status: &Value) -> Option<SocketAddr> {
    status["http"].as_str()?.parse().ok()
}

async fn within<T>(work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let done = tokio::time::timeout(DEADLINE, work).await;
    done.unwrap_or_else(|_| Err(format!("no answer in {} s", DEADLINE.as_secs())))
}

fn check(what: &'static str, outcome: Result<String, String>) -> Check {
    Check {
        what,
        good: outcome.is_ok(),
        text: outcome.unwrap_or_else(|why| why),
    }
}
