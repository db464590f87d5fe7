//! Fixtures for the tests of every crate, and the [`suite`] of tests that every repository passes.
#![allow(clippy::expect_used, reason = "a fixture fails by a panic, as a test does")]

pub mod suite;

use std::sync::Arc;

use time::OffsetDateTime;
use time::macros::{date, datetime};
use uuid::{Uuid, uuid};

use crate::{
    Apontamento, ApontamentoId, ApontamentoRecord, Atividade, AtividadeId, AtividadeRecord, AzureProjectId, Caller,
    Clock, Credential, Escrita, Minutos, MockClock, NomeAtividade, NomeProjeto, NovaAtividade, NovoApontamento,
    NovoProjeto, Organizacao, Projeto, ProjetoDaAtividade, ProjetoId, ProjetoRecord, ProjetoRef, ProjetoSelector,
    RemoteProjeto, StateCategory, Usuario, WorkItem, WorkItemId, WorkItemStates,
};

/// The time of [`fixed_clock`].
pub const NOW: OffsetDateTime = datetime!(2026-01-12 16:00:00.123456 UTC);

const ATIVIDADE: Uuid = uuid!("0194f6a0-0000-7000-8000-00000000a001");
const PROJETO: Uuid = uuid!("0194f6a0-0000-7000-8000-00000000b001");

/// Returns a clock that always returns [`NOW`].
#[must_use]
pub fn fixed_clock() -> Arc<dyn Clock> {
    let mut clock = MockClock::new();
    clock.expect_now().return_const(NOW);
    Arc::new(clock)
}

/// Returns a caller with an e-mail address and a token.
#[must_use]
pub fn maria() -> Caller {
    Caller {
        usuario: Usuario {
            id: "d291b0c4-a05c-4ea6-8df1-4b41d5f39eff".to_owned(),
            display_name: "Maria Souza".to_owned(),
            email: Some("maria@exemplo.br".to_owned()),
        },
        credential: Some(Credential::Bearer { token: "token-da-maria".into(), azure_access_token: None }),
    }
}

/// Returns the id of [`atividade`].
#[must_use]
pub const fn atividade_id() -> AtividadeId {
    AtividadeId(ATIVIDADE)
}

/// Returns the id of [`projeto`], to which all fixtures belong.
#[must_use]
pub const fn projeto_id() -> ProjetoId {
    ProjetoId(PROJETO)
}

/// Parses the name of an atividade.
///
/// # Panics
/// If the name is invalid.
#[must_use]
pub fn nome_atividade(nome: &str) -> NomeAtividade {
    NomeAtividade::parse(nome).expect("a valid name")
}

/// Parses the name of a projeto.
///
/// # Panics
/// If the name is invalid.
#[must_use]
pub fn nome_projeto(nome: &str) -> NomeProjeto {
    NomeProjeto::parse(nome).expect("a valid name")
}

/// Returns a request for an active atividade in [`projeto_id`].
#[must_use]
pub fn nova_atividade(nome: &str) -> NovaAtividade {
    NovaAtividade { nome: nome_atividade(nome), descricao: None, ativo: true, projetos: ProjetoRef(PROJETO).into() }
}

/// Returns the row that a repository returns for `record`.
#[must_use]
pub fn stored(record: AtividadeRecord) -> Atividade {
    let AtividadeRecord { id, nome, descricao, ativo, projetos, criado_por, criado_em } = record;
    let outros = projetos.others().iter();
    Atividade {
        id,
        nome,
        descricao,
        ativo,
        id_projeto: ProjetoId(projetos.first().0),
        nome_projeto: nome_projeto("Portal"),
        outros_projetos: outros
            .map(|id| ProjetoDaAtividade { id: ProjetoId(id.0), nome: nome_projeto("Outro") })
            .collect(),
        criado_por: Some(criado_por),
        criado_em,
        atualizado_em: criado_em,
    }
}

/// Returns a stored atividade with the id [`atividade_id`], created by [`maria`].
#[must_use]
pub fn atividade(nome: &str) -> Atividade {
    let record = AtividadeRecord::new(nova_atividade(nome), &maria().usuario, NOW);
    Atividade { id: atividade_id(), ..stored(record) }
}

/// Returns a further projeto of an atividade, with number `n`.
#[must_use]
pub fn projeto_da_atividade(n: u128, nome: &str) -> ProjetoDaAtividade {
    ProjetoDaAtividade { id: ProjetoId(Uuid::from_u128(n)), nome: nome_projeto(nome) }
}

/// Returns a time entry of [`maria`] on 12 January 2026, on the work item 41, in the atividade [`atividade_id`].
///
/// # Panics
/// If the duration is invalid.
#[must_use]
pub fn apontamento(minutos: u16) -> Apontamento {
    stored_apontamento(apontamento_record(minutos))
}

/// Returns the record of [`apontamento`].
///
/// # Panics
/// If the duration is invalid.
#[must_use]
pub fn apontamento_record(minutos: u16) -> ApontamentoRecord {
    let NovoApontamento { work_item, projeto: _, organizacao, data, minutos, atividade, comentario } =
        novo_apontamento(minutos);
    ApontamentoRecord {
        id: ApontamentoId(uuid!("0194f6a0-0000-7000-8000-00000000c001")),
        work_item,
        work_item_visto: None,
        verificado: true,
        projeto: ProjetoRef(PROJETO),
        organizacao: organizacao.as_str().to_owned(),
        data,
        minutos,
        atividade,
        comentario,
        usuario: maria().usuario,
        criado_em: NOW,
    }
}

/// Returns a request for the time entry of [`apontamento`].
///
/// # Panics
/// If the duration is invalid.
#[must_use]
pub fn novo_apontamento(minutos: u16) -> NovoApontamento {
    NovoApontamento {
        work_item: WorkItemId::new(41).expect("a valid id"),
        projeto: ProjetoSelector::Id(ProjetoRef(PROJETO)),
        organizacao: Organizacao::parse("exemplo").expect("a valid name"),
        data: date!(2026 - 01 - 12),
        minutos: Minutos::from_stored(minutos.into()).expect("a valid duration"),
        atividade: atividade_id(),
        comentario: None,
    }
}

/// Returns the row that a repository returns for `record`.
#[must_use]
pub fn stored_apontamento(record: ApontamentoRecord) -> Apontamento {
    let ApontamentoRecord {
        id,
        work_item,
        work_item_visto,
        verificado: _,
        projeto,
        organizacao,
        data,
        minutos,
        atividade,
        comentario,
        usuario,
        criado_em,
    } = record;
    Apontamento {
        id,
        work_item,
        work_item_visto,
        id_projeto: ProjetoId(projeto.0),
        nome_projeto: nome_projeto("Portal"),
        organizacao,
        data,
        minutos,
        id_atividade: atividade,
        nome_atividade: nome_atividade("Revisar"),
        comentario,
        usuario,
        escrita: Escrita::Desligada,
        criado_em,
        atualizado_em: criado_em,
    }
}

/// Returns the states of a `Task`: `Active` takes hours, `Closed` and `Removed` do not.
#[must_use]
pub fn work_item_states() -> WorkItemStates {
    let states = [
        ("New", StateCategory::Proposed),
        ("Active", StateCategory::InProgress),
        ("Closed", StateCategory::Completed),
        ("Removed", StateCategory::Removed),
    ];
    states.into_iter().map(|(name, category)| (name.to_owned(), category)).collect()
}

/// Returns a request for a local projeto.
#[must_use]
pub fn novo_projeto(nome: &str) -> NovoProjeto {
    NovoProjeto { nome: nome_projeto(nome), descricao: None }
}

/// Returns the row that a repository returns for `record`.
#[must_use]
pub fn stored_projeto(record: ProjetoRecord) -> Projeto {
    let ProjetoRecord { id, nome, descricao, criado_em } = record;
    Projeto {
        id,
        nome,
        descricao,
        azure_project_id: None,
        url: None,
        estado: None,
        sincronizado_em: None,
        criado_em,
        atualizado_em: criado_em,
    }
}

/// Returns a stored local projeto with the id [`projeto_id`].
#[must_use]
pub fn projeto(nome: &str) -> Projeto {
    stored_projeto(ProjetoRecord { id: projeto_id(), nome: nome_projeto(nome), descricao: None, criado_em: NOW })
}

/// Returns project number `n` of an organisation, with its own GUID.
///
/// # Panics
/// If the name is invalid.
#[must_use]
pub fn remote_projeto(n: u32, nome: &str) -> RemoteProjeto {
    let id = format!("eb6e4656-77fc-42a1-9181-{n:012x}");
    RemoteProjeto {
        url: Some(format!("https://dev.azure.com/exemplo/_apis/projects/{id}")),
        id: AzureProjectId::parse(&id).expect("a GUID"),
        nome: nome_projeto(nome),
        descricao: None,
        estado: Some("wellFormed".to_owned()),
    }
}

/// Returns work item number `id`: an active task of the project `Portal`, with all three numbers of hours.
///
/// # Panics
/// If the id is invalid.
#[must_use]
pub fn work_item(id: i64) -> WorkItem {
    WorkItem {
        id: WorkItemId::new(id).expect("a valid id"),
        titulo: format!("Tarefa {id}"),
        tipo: "Task".to_owned(),
        estado: "Active".to_owned(),
        projeto: "Portal".to_owned(),
        url: format!("https://dev.azure.com/exemplo/Portal/_workitems/edit/{id}"),
        parent: None,
        assigned_to: Some("Maria Souza".to_owned()),
        original_estimate: Some(8.0),
        remaining_work: Some(5.5),
        completed_work: Some(2.5),
    }
}
