use e2e::server::{Aponta, Program};

#[tokio::test]
async fn data_survives_a_restart_and_a_kill() {
    let Aponta { api, mut server, database } = Aponta::start();
    let projeto = api.projeto("Portal").await;
    let before = api.atividade("Antes de parar", &projeto).await;

    server.terminate();
    assert!(server.wait().success());
    let mut server = Program::serve(&database).start();
    let after = server.api().atividade("Antes de cair", &projeto).await;
    server.kill();

    let server = Program::serve(&database).start();
    let api = server.api();
    for id in [before, after] {
        assert_eq!(api.get(&format!("/api/v1/atividades/{id}")).await.expect(200)["nome_projeto"], "Portal");
    }
}
