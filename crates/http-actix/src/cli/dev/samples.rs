//! Sample data of the first run, so that the first responses are not empty.

use domain::{
    Atividades, Descricao, Error, IdentityProvider, NomeAtividade, NomeProjeto, NovaAtividade, NovoProjeto, ProjetoRef,
    ProjetoRefs, Projetos, Violation,
};
use http_api::DevelopmentIdentity;

/// An atividade: name, description, whether it is active.
type Sample = (&'static str, Option<&'static str>, bool);

/// The atividade of all projetos.
const SHARED: Sample = ("Planejamento da semana", Some("Vale para todos os projetos."), true);

/// The projetos, and the atividades of each alone.
const SAMPLES: &[(&str, &[Sample])] = &[
    (
        "Portal do Cliente",
        &[
            ("Revisar contrato de suporte", Some("Conferir prazos e níveis de serviço com o jurídico."), true),
            ("Desenvolver tela de pedidos", None, true),
            ("Migrar base legada", Some("Encerrada: a base antiga foi desligada."), false),
        ],
    ),
    ("Aplicativo de Campo", &[("Testar sincronização sem rede", None, true), ("Reunião diária", None, true)]),
    ("Administração Interna", &[("Treinamento", Some("Horas de estudo da equipe."), true)]),
];

/// Adds the samples through the use cases, as a client would.
pub async fn add(projetos: &Projetos, atividades: &Atividades) -> Result<(), Error> {
    let caller = DevelopmentIdentity.authenticate(None).await?;
    let mut all = Vec::new();
    for (projeto, nomes) in SAMPLES {
        let nome = NomeProjeto::parse(*projeto).map_err(invalid)?;
        let projeto = projetos.criar(NovoProjeto { nome, descricao: None }, None).await?;
        let projeto = ProjetoRef(projeto.id.0);
        all.push(projeto);
        for sample in *nomes {
            atividades.criar(&caller, nova_atividade(sample, projeto.into())?, None).await?;
        }
    }
    let all = ProjetoRefs::parse(all).map_err(|_| Error::internal("the samples have no or too many projetos"))?;
    atividades.criar(&caller, nova_atividade(&SHARED, all)?, None).await.map(drop)
}

fn nova_atividade((nome, descricao, ativo): &Sample, projetos: ProjetoRefs) -> Result<NovaAtividade, Error> {
    Ok(NovaAtividade {
        nome: NomeAtividade::parse(*nome).map_err(invalid)?,
        descricao: descricao.map(|text| Descricao::parse(text.to_owned())).transpose().map_err(invalid)?,
        ativo: *ativo,
        projetos,
    })
}

fn invalid(violation: Violation) -> Error {
    Error::internal(violation)
}
