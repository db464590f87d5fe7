//! Eight concurrent callers book, change and delete hours on the same days at random. What was acknowledged is what is there
//! at the end, and no day has more than 24:00, on both databases.

use std::collections::BTreeMap;

use e2e::client::Api;
use e2e::server::{Aponta, Directory, Program};
use serde_json::{Value, json};

const PATH: &str = "/api/v1/apontamentos";
const DAYS: [&str; 3] = ["2026-01-31", "2026-02-01", "2026-02-28"];
const CALLERS: u64 = 8;
const CALLS: u32 = 25;
const MAX_MINUTES: u64 = 1440;

/// A sequence of numbers that a seed repeats (a linear congruential generator with the constants of Knuth's MMIX).
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    fn day(&mut self) -> &'static str {
        DAYS[usize::try_from(self.below(3)).unwrap()]
    }

    fn duration(&mut self) -> String {
        format!("{:02}:{:02}", self.below(4), 1 + self.below(59))
    }
}

/// The entries by their ids, as they were last acknowledged.
type Entries = BTreeMap<String, Value>;

fn acknowledge(entries: &mut Entries, entry: &Value) {
    let shown = json!([entry["data_apontamento"], entry["minutos"], entry["comentario"]]);
    entries.insert(entry["id"].as_str().unwrap().to_owned(), shown);
}

async fn call(api: Api, projeto: String, atividade: String, seed: u64) -> (Entries, u32) {
    let (mut random, mut entries, mut refused) = (Random(seed), Entries::new(), 0);
    for n in 0..CALLS {
        let new = |random: &mut Random| {
            json!({
                "work_item_id": 104, "duracao": random.duration(), "data_apontamento": random.day(),
                "comentario": format!("{seed}.{n}"), "id_atividade": atividade, "organization_name": "exemplo",
                "project_id": projeto,
            })
        };
        let known = u64::try_from(entries.len()).unwrap();
        let one =
            (0 < known).then(|| entries.keys().nth(usize::try_from(random.below(known)).unwrap()).unwrap().clone());
        let answer = match (random.below(10), one) {
            (0..=2, Some(id)) => {
                let change = json!({"duracao": random.duration(), "data_apontamento": random.day()});
                api.put(&format!("{PATH}/{id}"), &change).await
            }
            (3, Some(id)) => {
                let deleted = api.delete(&format!("{PATH}/{id}")).await;
                assert_eq!(deleted.status, 204);
                entries.remove(&id);
                continue;
            }
            (4..=5, _) => {
                api.post(&format!("{PATH}/lote"), &json!({"items": [new(&mut random), new(&mut random)]})).await
            }
            _ => api.post(PATH, &new(&mut random)).await,
        };
        match answer.status {
            200 | 201 => match answer.json()["items"].as_array() {
                Some(items) => items.iter().for_each(|entry| acknowledge(&mut entries, entry)),
                None => acknowledge(&mut entries, &answer.json()),
            },
            409 => refused += 1,
            other => panic!("{other}: {}", answer.text),
        }
    }
    (entries, refused)
}

async fn check(api: &Api) {
    let projeto = api.projeto("Portal").await;
    let atividade = api.atividade("Revisar", &projeto).await;
    let calls: Vec<_> =
        (1..=CALLERS).map(|seed| tokio::spawn(call(api.clone(), projeto.clone(), atividade.clone(), seed))).collect();
    let (mut expected, mut refused) = (Entries::new(), 0);
    for call in calls {
        let (entries, conflicts) = call.await.unwrap();
        expected.extend(entries);
        refused += conflicts;
    }

    let period = "de=2026-01-01&ate=2026-02-28";
    let listed = api.get(&format!("{PATH}?{period}&limit=1000&total=true")).await.expect(200);
    let mut found = Entries::new();
    listed["items"].as_array().unwrap().iter().for_each(|entry| acknowledge(&mut found, entry));
    assert_eq!(found, expected);
    let report = api.get(&format!("/api/v1/relatorios/horas?{period}&agrupar=dia")).await.expect(200);
    assert_eq!(report["total_minutos"], listed["total_minutos"]);
    for line in report["linhas"].as_array().unwrap() {
        let day = &line["dia"]["id"];
        let sum = |entries: &Entries| -> u64 {
            entries.values().filter(|entry| entry[0] == *day).map(|entry| entry[1].as_u64().unwrap()).sum()
        };
        assert_eq!(line["minutos"], json!(sum(&expected)));
        assert!(sum(&expected) <= MAX_MINUTES, "{line}");
    }
    // Otherwise the limit was never reached.
    assert!(0 < refused, "no call was refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_callers_of_postgresql_agree_with_the_model() {
    check(&Aponta::start().api).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_callers_of_sqlite_agree_with_the_model() {
    let data = Directory::new();
    let server = Program::new(&["dev", "--port", "0", "--data", data.path().to_str().unwrap()]).start();
    check(&server.api()).await;
}
