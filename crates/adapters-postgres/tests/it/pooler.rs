//! Behind a pooler that hands each transaction to another backend, which other tenants use too.

use std::time::Duration;

use adapters_postgres::{Config, PostgresDatabase};
use domain::testing::suite::Repositories;
use domain::testing::{NOW, maria, nova_atividade, novo_projeto};
use domain::{
    Atividade, AtividadeQuery, AtividadeRecord, NomeAtividade, ProjetoId, ProjetoQuery, ProjetoRecord, ProjetoRef,
};
use e2e::pgbouncer::PgBouncer;
use e2e::postgres::Cluster;
use sea_orm::sqlx::postgres::PgConnectOptions;
use sea_orm::sqlx::{self, Connection as _, PgConnection};

use crate::support::{config, connect, repositories, schema};

/// The project of each tenant, and how many requests each sends at once.
const TENANTS: [&str; 2] = ["tenant_a", "tenant_b"];
const REQUESTS: usize = 400;

async fn serve(url: &str, tenant: &str) -> PostgresDatabase {
    let database = connect(Config::from_url(&url.to_owned().into(), schema(tenant)).unwrap()).await;
    database.migrate_up(None).await.unwrap();
    database
}

async fn fill(db: &Repositories, tenant: &str) -> (ProjetoId, Atividade) {
    let novo = novo_projeto(tenant);
    let record = ProjetoRecord { id: ProjetoId::new(NOW), nome: novo.nome, descricao: novo.descricao, criado_em: NOW };
    let projeto = db.projetos.insert(record, None).await.unwrap().id;
    (projeto, db.atividades.insert(atividade(tenant, projeto)).await.unwrap())
}

fn atividade(tenant: &str, projeto: ProjetoId) -> AtividadeRecord {
    let nome = NomeAtividade::parse(tenant.to_owned()).unwrap();
    let record = AtividadeRecord::new(nova_atividade("Revisar"), &maria().usuario, NOW);
    AtividadeRecord { nome, projetos: ProjetoRef(projeto.0).into(), ..record }
}

/// The names of the tenants whose rows a request of `tenant` was given.
async fn request(
    db: Repositories,
    tenant: &'static str,
    projeto: ProjetoId,
    known: Atividade,
    n: usize,
) -> Vec<String> {
    let of = |atividades: Vec<Atividade>| {
        atividades.into_iter().flat_map(|a| [a.nome.into_string(), a.nome_projeto.into_string()]).collect()
    };
    match n % 4 {
        0 => of(db.atividades.list(AtividadeQuery::default()).await.unwrap().items),
        1 => of(db.atividades.find(known.id).await.unwrap().into_iter().collect()),
        2 => of(vec![db.atividades.insert(atividade(tenant, projeto)).await.unwrap()]),
        _ => {
            let projetos = db.projetos.list(ProjetoQuery::default()).await.unwrap().items;
            projetos.into_iter().map(|projeto| projeto.nome.into_string()).collect()
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tenants_behind_a_transaction_pooler_never_see_each_other() {
    let database = Cluster::shared().create_database();
    let pooler = PgBouncer::start(Cluster::shared(), 3);
    let url = pooler.url(Cluster::shared(), &database);
    let mut requests = vec![];
    let mut tenants = vec![];
    for tenant in TENANTS {
        let served = serve(&url, tenant).await;
        assert!(served.is_behind_pooler(), "{tenant} takes the pooler for PostgreSQL");
        let db = repositories(&served);
        let (projeto, known) = fill(&db, tenant).await;
        tenants.push((tenant, db, projeto, known, served));
    }

    for n in 0..REQUESTS {
        for (tenant, db, projeto, known, _) in &tenants {
            requests.push((*tenant, tokio::spawn(request(db.clone(), tenant, *projeto, known.clone(), n))));
        }
    }

    for (tenant, request) in requests {
        let seen = request.await.unwrap();
        assert!(!seen.is_empty() && seen.iter().all(|name| name == tenant), "{tenant} saw {seen:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pooler_in_use_by_others_is_detected() {
    let database = Cluster::shared().create_database();
    let pooler = PgBouncer::start(Cluster::shared(), 2);
    let url = pooler.url(Cluster::shared(), &database);
    let busy = serve(&url, TENANTS[0]).await;
    let db = repositories(&busy);
    fill(&db, TENANTS[0]).await;
    let load: Vec<_> = (0..8)
        .map(|_| {
            let db = db.clone();
            tokio::spawn(async move {
                loop {
                    db.projetos.list(ProjetoQuery::default()).await.unwrap();
                }
            })
        })
        .collect();

    for _ in 0..10 {
        assert!(serve(&url, TENANTS[1]).await.is_behind_pooler());
    }

    load.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn migration_by_the_direct_url_does_not_wait_for_the_pooler() {
    let database = Cluster::shared().create_database();
    let pooler = PgBouncer::start(Cluster::shared(), 1);
    let url = pooler.url(Cluster::shared(), &database);
    let config = |tenant: &str, url: &str| Config::from_url(&url.to_owned().into(), schema(tenant)).unwrap();
    let own = format!(":{}@", Cluster::shared().password());
    // The password comes from the other URL.
    let without_password = database.url().replace(&own, "@");
    assert_ne!(without_password, database.url());
    let direct = config("tenant_a", &url).with_direct(config("tenant_a", &without_password));
    let served = connect(direct).await;
    let without_direct = connect(config("tenant_b", &url).acquire_timeout(Duration::from_millis(500))).await;
    // The only connection of the pooler is in use.
    let options = url.parse::<PgConnectOptions>().unwrap().extra_float_digits(None);
    let mut other = PgConnection::connect_with(&options).await.unwrap();
    sqlx::raw_sql("BEGIN").execute(&mut other).await.unwrap();

    let applied = served.migrate_up(None).await.unwrap();
    let waited = tokio::time::timeout(Duration::from_secs(2), without_direct.migrate_up(None)).await;

    assert!(!applied.is_empty());
    assert!(!matches!(waited, Ok(Ok(_))), "the transaction does not occupy the pooler: {waited:?}");
}

#[tokio::test]
async fn postgresql_is_not_detected_as_a_pooler() {
    let database = Cluster::shared().create_database();

    for _ in 0..10 {
        assert!(!connect(config(&database)).await.is_behind_pooler());
    }
}
