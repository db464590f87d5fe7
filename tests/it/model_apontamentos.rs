//! Eight concurrent callers book, change and delete hours on the same days at random, and change the projetos of atividades, one
//! of which they share. What was acknowledged is what is there at the end, and no day has more than 24:00, on both databases.

use std::collections::BTreeMap;

use e2e::client::Api;
use e2e::server::{Aponta, Directory, Program};
use serde_json::{Value, json};

const PATH: &str = "/api/v1/apontamentos";
const ATIVIDADES: &str = "/api/v1/atividades";
const DAYS: [&str; 3] = ["2026-01-31", "2026-02-01", "2026-02-28"];
const CALLERS: u64 = 8;
const CALLS: u32 = 40;
const MAX_MINUTES: u64 = 1440;
/// The projetos that an atividade can have, by their indices.
const LISTS: [&[usize]; 6] = [&[0], &[1, 0], &[2, 3, 0], &[3], &[0, 1, 2, 3], &[3, 2]];

/// A sequence of numbers that a seed repeats (a linear congruential generator with the constants of Knuth's MMIX).
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    fn day(&mut self) -> &'static str {
        DAYS[self.index(DAYS.len())]
    }

    fn index(&mut self, end: usize) -> usize {
        usize::try_from(self.below(end.try_into().unwrap())).unwrap()
    }

    fn duration(&mut self) -> String {
        format!("{:02}:{:02}", self.below(4), 1 + self.below(59))
    }
}

/// The entries by their ids, as they were last acknowledged.
type Entries = BTreeMap<String, Value>;

/// What all callers use: four projetos, and the atividade on which they book.
#[derive(Clone)]
struct Shared {
    api: Api,
    projetos: [String; 4],
    atividade: String,
}

/// What one caller knows: its entries, the projetos of its own atividades, and how many calls the limit refused.
#[derive(Default)]
struct Known {
    entries: Entries,
    atividades: BTreeMap<String, Vec<String>>,
    refused: u32,
}

fn acknowledge(entries: &mut Entries, entry: &Value) {
    let shown = json!([entry["data_apontamento"], entry["minutos"], entry["comentario"], entry["project_id"]]);
    entries.insert(entry["id"].as_str().unwrap().to_owned(), shown);
}

fn projetos_of(atividade: &Value) -> Vec<String> {
    let projetos = atividade["projetos"].as_array().unwrap();
    projetos.iter().map(|projeto| projeto["id"].as_str().unwrap().to_owned()).collect()
}

impl Shared {
    fn list(&self, index: usize) -> Vec<String> {
        LISTS[index].iter().map(|index| self.projetos[*index].clone()).collect()
    }

    /// Changes the shared atividade or one of the caller's own, or creates or deletes one of these.
    async fn change_atividades(&self, random: &mut Random, own: &mut BTreeMap<String, Vec<String>>) {
        let list = self.list(random.index(LISTS.len()));
        let one = (!own.is_empty()).then(|| own.keys().nth(random.index(own.len())).unwrap().clone());
        let path = |id: &str| format!("{ATIVIDADES}/{id}");
        match (random.below(8), one) {
            (0..=1, _) => {
                let changed = self.api.put(&path(&self.atividade), &json!({"ids_projetos": list})).await.expect(200);
                assert_eq!(projetos_of(&changed), list);
            }
            (2..=3, _) => {
                let nome = json!({"nome": format!("Revisar {}", random.below(9))});
                let shown = projetos_of(&self.api.put(&path(&self.atividade), &nome).await.expect(200));
                assert!((0..LISTS.len()).any(|index| self.list(index) == shown), "{shown:?} is no caller's list");
            }
            (4..=5, Some(id)) => {
                let changed = self.api.put(&path(&id), &json!({"ids_projetos": list})).await.expect(200);
                assert_eq!(projetos_of(&changed), list);
                own.insert(id, list);
            }
            (6, Some(id)) => {
                assert_eq!(self.api.delete(&path(&id)).await.status, 204);
                own.remove(&id);
            }
            _ => {
                let created =
                    self.api.post(ATIVIDADES, &json!({"nome": "Nova", "ids_projetos": list})).await.expect(201);
                own.insert(created["id"].as_str().unwrap().to_owned(), list);
            }
        }
    }
}

async fn call(shared: Shared, seed: u64) -> Known {
    let (mut random, mut known) = (Random(seed), Known::default());
    let Shared { api, projetos, atividade } = &shared;
    for n in 0..CALLS {
        if random.below(3) == 0 {
            shared.change_atividades(&mut random, &mut known.atividades).await;
            continue;
        }
        let Known { entries, refused, .. } = &mut known;
        let new = |random: &mut Random| {
            json!({
                "work_item_id": 104, "duracao": random.duration(), "data_apontamento": random.day(),
                "comentario": format!("{seed}.{n}"), "id_atividade": atividade, "organization_name": "exemplo",
                "project_id": projetos[random.index(projetos.len())],
            })
        };
        let one = (!entries.is_empty()).then(|| entries.keys().nth(random.index(entries.len())).unwrap().clone());
        let response = match (random.below(10), one) {
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
        match response.status {
            200 | 201 => match response.json()["items"].as_array() {
                Some(items) => items.iter().for_each(|entry| acknowledge(entries, entry)),
                None => acknowledge(entries, &response.json()),
            },
            409 => *refused += 1,
            other => panic!("{other}: {}", response.text),
        }
    }
    known
}

async fn check(api: &Api) {
    let mut projetos = ["A", "B", "C", "D"].map(str::to_owned);
    for projeto in &mut projetos {
        *projeto = api.projeto(projeto).await;
    }
    let shared = Shared { api: api.clone(), atividade: api.atividade("Revisar", &projetos[0]).await, projetos };
    let calls: Vec<_> = (1..=CALLERS).map(|seed| tokio::spawn(call(shared.clone(), seed))).collect();
    let (mut expected, mut atividades, mut refused) = (Entries::new(), BTreeMap::new(), 0);
    for call in calls {
        let known = call.await.unwrap();
        expected.extend(known.entries);
        atividades.extend(known.atividades);
        refused += known.refused;
    }

    check_atividades(&shared, atividades).await;
    let period = "de=2026-01-01&ate=2026-02-28";
    let listed = api.get(&format!("{PATH}?{period}&limit=1000&total=true")).await.expect(200);
    let mut found = Entries::new();
    listed["items"].as_array().unwrap().iter().for_each(|entry| acknowledge(&mut found, entry));
    assert_eq!(found, expected);
    // An entry keeps its own projeto, whatever becomes of those of its atividade.
    for (key, field) in [("dia", 0), ("projeto", 3)] {
        let report = api.get(&format!("/api/v1/relatorios/horas?{period}&agrupar={key}")).await.expect(200);
        assert_eq!(report["total_minutos"], listed["total_minutos"]);
        for line in report["linhas"].as_array().unwrap() {
            let of_line = expected.values().filter(|entry| entry[field] == line[key]["id"]);
            let sum: u64 = of_line.map(|entry| entry[1].as_u64().unwrap()).sum();
            assert_eq!(line["minutos"], json!(sum));
            assert!(key != "dia" || sum <= MAX_MINUTES, "{line}");
        }
    }
    // Otherwise the limit was never reached.
    assert!(0 < refused, "no call was refused");
}

/// Compares the projetos of each atividade, and the atividades of each projeto.
async fn check_atividades(shared: &Shared, mut expected: BTreeMap<String, Vec<String>>) {
    let last = shared.api.get(&format!("{ATIVIDADES}/{}", shared.atividade)).await.expect(200);
    let last = projetos_of(&last);
    assert!((0..LISTS.len()).any(|index| shared.list(index) == last), "{last:?} is no caller's list");
    expected.insert(shared.atividade.clone(), last);
    for projeto in &shared.projetos {
        let path = format!("{ATIVIDADES}?id_projeto={projeto}&limit=1000");
        let listed = shared.api.get(&path).await.expect(200)["items"].as_array().unwrap().clone();
        let listed = listed.iter().map(|item| (item["id"].as_str().unwrap().to_owned(), projetos_of(item)));
        let mut of_projeto = expected.clone();
        of_projeto.retain(|_, projetos| projetos.contains(projeto));
        assert_eq!(listed.collect::<BTreeMap<_, _>>(), of_projeto);
    }
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
