//! Sample data of the first run, so that the first responses are not empty.

use domain::{
    Apontamentos, Atividade, Atividades, Comentario, Descricao, Error, IdentityProvider, Minutos, NomeAtividade,
    NomeProjeto, NovaAtividade, NovoApontamento, NovoProjeto, Organizacao, ProjetoRef, ProjetoRefs, ProjetoSelector,
    Projetos, Violation, WorkItemId,
};
use http_api::DevelopmentIdentity;
use time::{Duration, OffsetDateTime};

use crate::wiring::embedded::SAMPLE_ORGANISATION;

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

/// Time entries of the user, the most recent first: days ago, work item, duration, index of its atividade among all, comment.
type SampleEntry = (i64, i64, &'static str, usize, &'static str);

const ENTRIES: &[SampleEntry] = &[
    (0, 104, "2:30", 1, "Filtro por período"),
    (0, 108, "1:15", 3, ""),
    (1, 104, "6:00", 1, "Lista e paginação"),
    (1, 110, "2:00", 5, "Curso de segurança"),
    (2, 105, "0:45", 0, "Prazos com o jurídico"),
    (2, 109, "3:20", 3, "Fotos acima de 10 MB"),
];

/// Adds the samples through the use cases, as a client would.
pub async fn add(projetos: &Projetos, atividades: &Atividades, apontamentos: &Apontamentos) -> Result<(), Error> {
    let caller = DevelopmentIdentity.authenticate(None).await?;
    let (mut all, mut criadas) = (Vec::new(), Vec::new());
    for (projeto, nomes) in SAMPLES {
        let nome = NomeProjeto::parse(*projeto).map_err(invalid)?;
        let projeto = projetos.criar(NovoProjeto { nome, descricao: None }, None).await?;
        let projeto = ProjetoRef(projeto.id.0);
        all.push(projeto);
        for sample in *nomes {
            criadas.push(atividades.criar(&caller, nova_atividade(sample, projeto.into())?, None).await?);
        }
    }
    let all = ProjetoRefs::parse(all).map_err(|_| Error::internal("the samples have no or too many projetos"))?;
    atividades.criar(&caller, nova_atividade(&SHARED, all)?, None).await?;
    let entries = ENTRIES.iter().rev().map(|entry| apontamento(entry, &criadas));
    apontamentos.criar_lote(&caller, entries.collect::<Result<_, _>>()?, None).await?;
    Ok(())
}

fn nova_atividade((nome, descricao, ativo): &Sample, projetos: ProjetoRefs) -> Result<NovaAtividade, Error> {
    Ok(NovaAtividade {
        nome: NomeAtividade::parse(*nome).map_err(invalid)?,
        descricao: descricao.map(|text| Descricao::parse(text.to_owned())).transpose().map_err(invalid)?,
        ativo: *ativo,
        projetos,
    })
}

fn apontamento(entry: &SampleEntry, atividades: &[Atividade]) -> Result<NovoApontamento, Error> {
    let (days_ago, work_item, duracao, atividade, comentario) = *entry;
    let atividade = atividades.get(atividade).ok_or_else(|| Error::internal("a sample without its atividade"))?;
    Ok(NovoApontamento {
        work_item: WorkItemId::new(work_item).map_err(invalid)?,
        projeto: ProjetoSelector::Id(ProjetoRef(atividade.id_projeto.0)),
        organizacao: Organizacao::parse(SAMPLE_ORGANISATION).map_err(invalid)?,
        data: OffsetDateTime::now_utc().date().saturating_sub(Duration::days(days_ago)),
        minutos: Minutos::parse(duracao).map_err(invalid)?,
        atividade: atividade.id,
        comentario: Comentario::parse(comentario.to_owned()).map_err(invalid)?,
    })
}

fn invalid(violation: Violation) -> Error {
    Error::internal(violation)
}
