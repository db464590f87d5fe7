//! Random sequences of calls against a simple model in memory: the same responses from both databases.
//! `PROPTEST_CASES` says for how long; a sequence that fails is made as short as it can be, and kept beside this file.

use std::collections::BTreeMap;

use e2e::client::Api;
use e2e::server::{Aponta, Directory, Program};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, FileFailurePersistence, TestRunner};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

const LIST: &str = "/api/v1/atividades";
const PROJETOS: &str = "/api/v1/projetos";

#[derive(Debug, Clone)]
enum Call {
    NewProjeto(String),
    DeleteProjeto(Index),
    Create(Vec<Index>, String, Option<bool>),
    Bulk(Vec<Index>, Vec<String>),
    Rename(Index, String),
    Change(Index, Option<bool>, Option<Vec<Index>>),
    Describe(Index, Option<String>),
    Delete(Index),
    Get(Index),
    List { projeto: Option<Index>, ativo: Option<bool>, q: String, ordem: &'static str, skip: usize, limit: usize },
    Walk { ordem: &'static str, limit: usize },
}

/// Names that every database orders in the same way; what accents do to an order has tests of its own.
fn nome() -> impl Strategy<Value = String> {
    "[a-d]{1,3}"
}

fn ordem() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just("criado_em"), Just("-criado_em"), Just("nome"), Just("-nome")]
}

/// The projetos of an atividade, with repetitions that the model leaves out.
fn indices() -> impl Strategy<Value = Vec<Index>> {
    prop::collection::vec(any::<Index>(), 1..5)
}

fn call() -> impl Strategy<Value = Call> {
    let index = any::<Index>;
    prop_oneof![
        2 => nome().prop_map(Call::NewProjeto),
        1 => index().prop_map(Call::DeleteProjeto),
        4 => (indices(), nome(), any::<Option<bool>>()).prop_map(|(projetos, nome, ativo)| Call::Create(projetos, nome, ativo)),
        1 => (indices(), prop::collection::vec("[a-d]{0,3}", 1..6)).prop_map(|(projetos, nomes)| Call::Bulk(projetos, nomes)),
        2 => (index(), nome()).prop_map(|(which, nome)| Call::Rename(which, nome)),
        3 => (index(), any::<Option<bool>>(), prop::option::of(indices())).prop_map(|(which, ativo, projetos)| Call::Change(which, ativo, projetos)),
        1 => (index(), any::<Option<String>>()).prop_map(|(which, text)| Call::Describe(which, text)),
        2 => index().prop_map(Call::Delete),
        1 => index().prop_map(Call::Get),
        4 => (any::<Option<Index>>(), any::<Option<bool>>(), "[a-d]{0,2}", ordem(), 0_usize..8, 1_usize..8)
            .prop_map(|(projeto, ativo, q, ordem, skip, limit)| Call::List { projeto, ativo, q, ordem, skip, limit }),
        1 => (ordem(), 1_usize..5).prop_map(|(ordem, limit)| Call::Walk { ordem, limit }),
    ]
}

#[derive(Debug, Clone, PartialEq)]
struct Atividade {
    id: String,
    nome: String,
    descricao: Option<String>,
    ativo: bool,
    projetos: Vec<String>,
}

/// What there should be: projetos by their ids, and atividades in the order in which they were created.
#[derive(Default)]
struct Model {
    projetos: BTreeMap<String, String>,
    atividades: Vec<Atividade>,
}

impl Model {
    fn projeto(&self, index: Index) -> Option<String> {
        if self.projetos.is_empty() {
            return None;
        }
        self.projetos.keys().nth(index.index(self.projetos.len())).cloned()
    }

    /// Different projetos in the order of `indices`; none if there are no projetos.
    fn several(&self, indices: &[Index]) -> Vec<String> {
        let mut several = Vec::new();
        for id in indices.iter().filter_map(|index| self.projeto(*index)) {
            if !several.contains(&id) {
                several.push(id);
            }
        }
        several
    }

    fn shown(&self, atividade: &Atividade) -> Value {
        let projeto = |id: &String| json!({"id": id, "nome": self.projetos[id]});
        let projetos: Vec<_> = atividade.projetos.iter().map(projeto).collect();
        json!({
            "id": atividade.id, "nome": atividade.nome, "descricao": atividade.descricao, "ativo": atividade.ativo,
            "id_projeto": projetos[0]["id"], "nome_projeto": projetos[0]["nome"], "projetos": projetos,
        })
    }

    fn ordered(&self, ordem: &str) -> Vec<&Atividade> {
        let mut all: Vec<_> = self.atividades.iter().collect();
        if ordem.ends_with("nome") {
            all.sort_by_key(|atividade| (&atividade.nome, &atividade.id));
        }
        if ordem.starts_with('-') {
            all.reverse();
        }
        all
    }
}

/// A body with the projetos, in each way that the API takes them.
fn with_projetos(mut body: Value, projetos: &[String]) -> Value {
    if projetos.len() != 2 {
        body["id_projeto"] = json!(projetos[0]);
    }
    if projetos.len() != 1 {
        body["ids_projetos"] = json!(projetos);
    }
    body
}

/// A response without what only the clock knows.
fn seen(value: &Value) -> Value {
    let mut value = value.clone();
    for field in ["criado_em", "atualizado_em", "criado_por"] {
        assert!(value.as_object_mut().unwrap().remove(field).is_some(), "{field} is missing");
    }
    value
}

fn all_seen(list: &Value) -> Vec<Value> {
    list["items"].as_array().unwrap().iter().map(seen).collect()
}

/// Makes one call and compares.
async fn make(api: &Api, model: &mut Model, call: &Call) {
    match call {
        Call::NewProjeto(nome) => {
            let id = api.projeto(nome).await;
            model.projetos.insert(id, nome.clone());
        }
        Call::DeleteProjeto(index) => {
            let Some(id) = model.projeto(*index) else { return };
            let status = api.delete(&format!("{PROJETOS}/{id}")).await.status;
            let is_used = model.atividades.iter().any(|atividade| atividade.projetos.contains(&id));
            assert_eq!(status, if is_used { 409 } else { 204 });
            if !is_used {
                model.projetos.remove(&id);
            }
        }
        Call::Create(indices, nome, ativo) => {
            let projetos = model.several(indices);
            if projetos.is_empty() {
                return;
            }
            let mut body = with_projetos(json!({"nome": format!(" {nome} ")}), &projetos);
            if let Some(ativo) = ativo {
                body["ativo"] = json!(ativo);
            }
            let created = api.post(LIST, &body).await.expect(201);
            let id = created["id"].as_str().unwrap().to_owned();
            let atividade =
                Atividade { id, nome: nome.clone(), descricao: None, ativo: ativo.unwrap_or(true), projetos };
            assert_eq!(seen(&created), model.shown(&atividade));
            model.atividades.push(atividade);
        }
        Call::Bulk(indices, nomes) => {
            let projetos = model.several(indices);
            if projetos.is_empty() {
                return;
            }
            let items: Vec<_> = nomes.iter().map(|nome| with_projetos(json!({"nome": nome}), &projetos)).collect();
            let response = api.post(&format!("{LIST}/lote"), &json!({"items": items})).await;
            let empty: Vec<_> =
                (0..).zip(nomes).filter(|(_, nome)| nome.is_empty()).map(|(n, _)| n).collect::<Vec<u32>>();
            if empty.is_empty() {
                for (created, nome) in response.expect(201)["items"].as_array().unwrap().iter().zip(nomes) {
                    let id = created["id"].as_str().unwrap().to_owned();
                    let atividade =
                        Atividade { id, nome: nome.clone(), descricao: None, ativo: true, projetos: projetos.clone() };
                    assert_eq!(seen(created), model.shown(&atividade));
                    model.atividades.push(atividade);
                }
            } else {
                let faults: Vec<_> = empty.iter().map(|n| format!("string_too_short body.items.{n}.nome")).collect();
                assert_eq!(response.faults(), faults);
            }
        }
        Call::Rename(..) | Call::Change(..) | Call::Describe(..) => change(api, model, call).await,
        Call::Delete(index) => {
            if model.atividades.is_empty() {
                return;
            }
            let gone = model.atividades.remove(index.index(model.atividades.len()));
            let path = format!("{LIST}/{}", gone.id);
            assert_eq!(api.delete(&path).await.status, 204);
            assert_eq!(api.delete(&path).await.status, 404);
            assert_eq!(api.get(&path).await.status, 404);
        }
        Call::Get(index) => {
            if model.atividades.is_empty() {
                return;
            }
            let atividade = index.get(&model.atividades);
            assert_eq!(seen(&api.get(&format!("{LIST}/{}", atividade.id)).await.expect(200)), model.shown(atividade));
        }
        Call::List { projeto, ativo, q, ordem, skip, limit } => {
            let projeto = projeto.as_ref().and_then(|index| model.projeto(*index));
            let mut query = format!("ordem={ordem}&skip={skip}&limit={limit}&q={q}");
            query += &projeto.as_ref().map_or_else(String::new, |projeto| format!("&id_projeto={projeto}"));
            query += &ativo.map_or_else(String::new, |ativo| format!("&ativo={ativo}"));
            let matches: Vec<_> = model
                .ordered(ordem)
                .into_iter()
                .filter(|a| projeto.as_ref().is_none_or(|projeto| a.projetos.contains(projeto)))
                .filter(|a| ativo.is_none_or(|ativo| a.ativo == ativo) && a.nome.contains(q))
                .map(|a| model.shown(a))
                .collect();
            let page = api.get(&format!("{LIST}?{query}")).await.expect(200);
            assert_eq!(page["total"], matches.len(), "{query}");
            assert_eq!(all_seen(&page), matches.into_iter().skip(*skip).take(*limit).collect::<Vec<_>>(), "{query}");
        }
        Call::Walk { ordem, limit } => {
            let (mut walked, mut apos) = (Vec::new(), String::new());
            loop {
                let page = api.get(&format!("{LIST}?ordem={ordem}&limit={limit}&apos={apos}")).await.expect(200);
                walked.extend(all_seen(&page));
                let Some(proximo) = page["proximo"].as_str() else { break };
                proximo.clone_into(&mut apos);
            }
            let expected: Vec<_> = model.ordered(ordem).into_iter().map(|atividade| model.shown(atividade)).collect();
            assert_eq!(walked, expected, "{ordem} by {limit}");
        }
    }
}

async fn change(api: &Api, model: &mut Model, call: &Call) {
    let (Call::Rename(index, _) | Call::Change(index, ..) | Call::Describe(index, _)) = call else { return };
    if model.atividades.is_empty() {
        return;
    }
    let at = index.index(model.atividades.len());
    let mut changed = model.atividades[at].clone();
    let mut body = json!({});
    match call {
        Call::Rename(_, nome) => {
            changed.nome.clone_from(nome);
            body["nome"] = json!(nome);
        }
        Call::Describe(_, text) => {
            let text = text.as_ref().map(|text| text.replace('\0', ""));
            changed.descricao.clone_from(&text);
            body["descricao"] = json!(text);
        }
        Call::Change(_, ativo, indices) => {
            if let Some(ativo) = ativo {
                changed.ativo = *ativo;
                body["ativo"] = json!(ativo);
            }
            let projetos = model.several(indices.as_deref().unwrap_or_default());
            if !projetos.is_empty() {
                body = with_projetos(body, &projetos);
                changed.projetos = projetos;
            }
        }
        _ => {}
    }
    let path = format!("{LIST}/{}", changed.id);
    let before = api.get(&path).await.expect(200);
    let response = api.put(&path, &body).await.expect(200);
    assert_eq!(seen(&response), model.shown(&changed));
    let is_same = changed == model.atividades[at];
    assert_eq!(response["atualizado_em"] == before["atualizado_em"], is_same, "atualizado_em tells the truth");
    model.atividades[at] = changed;
}

/// All that is there, taken away: the next sequence begins with nothing.
async fn clear(api: &Api) {
    // The samples have time entries, which keep their atividade.
    for entry in api.get("/api/v1/apontamentos?limit=1000").await.expect(200)["items"].as_array().unwrap() {
        let path = format!("/api/v1/apontamentos/{}", entry["id"].as_str().unwrap());
        assert_eq!(api.delete(&path).await.status, 204);
    }
    loop {
        let list = api.get(&format!("{LIST}?limit=1000")).await.expect(200);
        let items = list["items"].as_array().unwrap().clone();
        if items.is_empty() {
            break;
        }
        for item in items {
            assert_eq!(api.delete(&format!("{LIST}/{}", item["id"].as_str().unwrap())).await.status, 204);
        }
    }
    for projeto in api.get(PROJETOS).await.expect(200).as_array().unwrap() {
        assert_eq!(api.delete(&format!("{PROJETOS}/{}", projeto["id"].as_str().unwrap())).await.status, 204);
    }
}

fn compare(api: &Api) {
    let runtime = Runtime::new().unwrap();
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(12);
    let kept = FileFailurePersistence::Direct(concat!(env!("CARGO_MANIFEST_DIR"), "/it/model.proptest-regressions"));
    let mut runner = TestRunner::new(Config { cases, failure_persistence: Some(Box::new(kept)), ..Config::default() });
    let sequence = prop::collection::vec(call(), 20..60);
    let result = runner.run(&sequence, |calls| {
        runtime.block_on(async {
            clear(api).await;
            let mut model = Model::default();
            make(api, &mut model, &Call::NewProjeto("a".to_owned())).await;
            for call in &calls {
                make(api, &mut model, call).await;
            }
        });
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn postgresql_agrees_with_the_model() {
    compare(&Aponta::start().api);
}

#[test]
fn embedded_database_agrees_with_the_model() {
    let data = Directory::new();
    let server = Program::new(&["dev", "--port", "0", "--data", data.path().to_str().unwrap()]).start();
    compare(&server.api());
}
