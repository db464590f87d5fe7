//! What tests of every crate share: people, things and a clock that stands still ([`fixtures`](self)), and
//! [`suite`], which holds a repository to the promises of its port.
#![allow(clippy::expect_used, reason = "what tests share fails by a panic, as every test does")]

pub mod suite;

use std::sync::Arc;

use time::OffsetDateTime;
use time::macros::datetime;
use uuid::{Uuid, uuid};

use crate::{
    Atividade, AtividadeId, AtividadeRecord, AzureProjectId, Caller, Clock, Credential, MockClock, NomeAtividade,
    NomeProjeto, NovaAtividade, NovoProjeto, Projeto, ProjetoId, ProjetoRecord, ProjetoRef, RemoteProjeto, Usuario,
};

/// When tests happen.
pub const NOW: OffsetDateTime = datetime!(2026-01-12 16:00:00.123456 UTC);

const ATIVIDADE: Uuid = uuid!("0194f6a0-0000-7000-8000-00000000a001");
const PROJETO: Uuid = uuid!("0194f6a0-0000-7000-8000-00000000b001");

/// A clock that always says [`NOW`].
#[must_use]
pub fn fixed_clock() -> Arc<dyn Clock> {
    let mut clock = MockClock::new();
    clock.expect_now().return_const(NOW);
    Arc::new(clock)
}

/// A caller with an e-mail address, who showed a token.
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

/// The id of the atividade that [`atividade`] answers.
#[must_use]
pub const fn atividade_id() -> AtividadeId {
    AtividadeId(ATIVIDADE)
}

/// The id of the projeto that everything here belongs to.
#[must_use]
pub const fn projeto_id() -> ProjetoId {
    ProjetoId(PROJETO)
}

/// A name for an atividade.
///
/// # Panics
/// When the text is no valid name.
#[must_use]
pub fn nome_atividade(nome: &str) -> NomeAtividade {
    NomeAtividade::parse(nome).expect("a valid name")
}

/// A name for a projeto.
///
/// # Panics
/// When the text is no valid name.
#[must_use]
pub fn nome_projeto(nome: &str) -> NomeProjeto {
    NomeProjeto::parse(nome).expect("a valid name")
}

/// An active atividade to be created in [`projeto_id`].
#[must_use]
pub fn nova_atividade(nome: &str) -> NovaAtividade {
    NovaAtividade { nome: nome_atividade(nome), descricao: None, ativo: true, projeto: ProjetoRef(PROJETO) }
}

/// `record` as a repository would answer it.
#[must_use]
pub fn stored(record: AtividadeRecord) -> Atividade {
    let AtividadeRecord { id, nome, descricao, ativo, projeto, criado_por, criado_em } = record;
    Atividade {
        id,
        nome,
        descricao,
        ativo,
        id_projeto: ProjetoId(projeto.0),
        nome_projeto: nome_projeto("Portal"),
        criado_por: Some(criado_por),
        criado_em,
        atualizado_em: criado_em,
    }
}

/// A stored atividade with the id [`atividade_id`], created by [`maria`].
#[must_use]
pub fn atividade(nome: &str) -> Atividade {
    let record = AtividadeRecord::new(nova_atividade(nome), &maria().usuario, NOW);
    Atividade { id: atividade_id(), ..stored(record) }
}

/// A projeto to be created.
#[must_use]
pub fn novo_projeto(nome: &str) -> NovoProjeto {
    NovoProjeto { nome: nome_projeto(nome), descricao: None }
}

/// `record` as a repository would answer it.
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

/// A stored projeto with the id [`projeto_id`] that exists only here.
#[must_use]
pub fn projeto(nome: &str) -> Projeto {
    stored_projeto(ProjetoRecord { id: projeto_id(), nome: nome_projeto(nome), descricao: None, criado_em: NOW })
}

/// The project number `n` of an organisation, with a GUID of its own.
///
/// # Panics
/// When the text is no valid name.
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
