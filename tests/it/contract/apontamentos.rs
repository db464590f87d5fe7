//! Time entries: making, reading, changing, summing. Without an organisation, work items are not checked.

use e2e::azure::Organisation;
use e2e::client::{Api, Response, send};
use e2e::server::Aponta;
use reqwest::Method;
use serde_json::{Value, json};

const PATH: &str = "/api/v1/apontamentos";

/// The ids of a projeto and of an atividade in it.
async fn given(api: &Api) -> (String, String) {
    let projeto = api.projeto("Portal").await;
    let atividade = api.atividade("Revisar", &projeto).await;
    (projeto, atividade)
}

fn entry((projeto, atividade): &(String, String), data: &str, duracao: &str) -> Value {
    json!({
        "work_item_id": 41, "duracao": duracao, "data_apontamento": data, "id_atividade": atividade,
        "organization_name": "exemplo", "project_id": projeto,
    })
}

fn path(apontamento: &Value) -> String {
    format!("{PATH}/{}", apontamento["id"].as_str().unwrap())
}

async fn created(api: &Api, body: &Value) -> Value {
    let mut created = api.post(PATH, body).await.expect(201);
    created.as_object_mut().unwrap().remove("avisos");
    created
}

#[tokio::test]
async fn entry_is_read_back_changed_and_deleted() {
    let Aponta { api, .. } = &Aponta::start();
    let ids = given(api).await;

    let response = api.post(PATH, &entry(&ids, "2026-02-28", "1:30")).await;

    let mut criado = response.expect(201);
    let aviso = "O work item 41 não foi verificado, porque o Azure DevOps não pôde ser consultado";
    assert_eq!(criado.as_object_mut().unwrap().remove("avisos"), Some(json!([aviso])));
    assert_eq!(response.header("location"), Some(path(&criado).as_str()));
    let read = api.get(&path(&criado)).await;
    assert_eq!((read.expect(200), read.header("etag")), (criado.clone(), response.header("etag")));
    let fields = ["duracao", "duracao_horas", "minutos", "usuario_id", "usuario_email", "comentario", "sincronizacao"];
    let values = fields.map(|field| criado[field].clone());
    let expected = [
        json!("01:30"),
        json!(1.5),
        json!(90),
        json!("dev-user-001"),
        json!("dev@localhost"),
        json!(null),
        json!("desligada"),
    ];
    assert_eq!(values, expected);

    let change = json!({"duracao": "2:00", "data_apontamento": "2024-02-29", "comentario": "Com o cliente"});
    let stale = response.header("etag").unwrap().to_owned();
    let changed = api.put(&path(&criado), &change).await.expect(200);
    assert_eq!((&changed["minutos"], &changed["data_apontamento"]), (&json!(120), &json!("2024-02-29")));
    let put = api.request(Method::PUT, &path(&criado)).header("If-Match", &stale).json(&json!({"duracao": "3:00"}));
    assert_eq!(send(put).await.status, 412);
    assert_eq!(api.put(&path(&criado), &json!({"comentario": ""})).await.expect(200)["comentario"], json!(null));
    assert_eq!(api.delete(&path(&criado)).await.status, 204);
    assert_eq!(api.get(&path(&criado)).await.status, 404);
}

#[tokio::test]
async fn rules_are_refused_in_words() {
    let Aponta { api, .. } = &Aponta::start();
    let ids = given(api).await;
    let (projeto, atividade) = &ids;
    let inativa =
        api.post("/api/v1/atividades", &json!({"nome": "B", "ativo": false, "id_projeto": projeto})).await.expect(201);
    let unknown = "00000000-0000-7000-8000-000000000001";
    let with = |field: &str, value: &Value| {
        let mut body = entry(&ids, "2026-01-12", "1:00");
        body[field] = value.clone();
        body
    };

    let cases = [
        (400, with("id_atividade", &json!(unknown)), format!("Atividade não encontrada: {unknown}")),
        (400, with("project_id", &json!(unknown)), format!("Projeto não encontrado: {unknown}")),
        (400, with("project_id", &json!("Nada")), "Projeto não encontrado: Nada".to_owned()),
        (409, with("id_atividade", &inativa["id"]), "A atividade está inativa e não recebe apontamentos".to_owned()),
    ];
    for (status, body, text) in cases {
        let refused = api.post(PATH, &body).await;
        assert_eq!(
            (refused.expect(status)["detail"].as_str(), refused.json()["errors"].is_array()),
            (Some(text.as_str()), true)
        );
    }
    let by_name = created(api, &with("project_id", &json!("PORTAL"))).await;
    assert_eq!(by_name["project_id"], json!(projeto));
    // The day has 23 hours left.
    let full = api.post(PATH, &entry(&ids, "2026-01-12", "23:01")).await;
    assert_eq!(full.expect(409)["detail"], "O limite de 24:00 por dia seria ultrapassado em 2026-01-12: restam 23:00");
    let _ = created(api, &entry(&ids, "2026-01-12", "23:00")).await;
    for kept in [format!("/api/v1/atividades/{atividade}"), format!("/api/v1/projetos/{projeto}")] {
        assert_eq!(api.delete(&kept).await.status, 409);
    }
}

#[tokio::test]
async fn concurrent_requests_never_exceed_a_day() {
    let Aponta { api, .. } = &Aponta::start();
    let ids = given(api).await;

    let calls: Vec<_> = (0..30)
        .map(|n| {
            let (api, body) = (api.clone(), entry(&ids, "2026-01-12", "1:00"));
            tokio::spawn(async move {
                match n % 2 {
                    0 => api.post(PATH, &body).await.status,
                    _ => api.post(&format!("{PATH}/lote"), &json!({"items": [body]})).await.status,
                }
            })
        })
        .collect();
    let mut statuses = Vec::new();
    for call in calls {
        statuses.push(call.await.unwrap());
    }

    assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 24, "{statuses:?}");
    assert!(statuses.iter().all(|status| [201, 409].contains(status)), "{statuses:?}");
    let listed = api.get(&format!("{PATH}?usuario=eu&total=true&limit=1")).await.expect(200);
    assert_eq!((&listed["total"], &listed["total_minutos"]), (&json!(24), &json!(1440)));
}

#[tokio::test]
async fn repeated_key_makes_one_entry() {
    let Aponta { api, .. } = &Aponta::start();
    let ids = given(api).await;
    let keyed = |body: Value| send(api.request(Method::POST, PATH).header("Idempotency-Key", "a").json(&body));

    let first = keyed(entry(&ids, "2026-01-12", "1:00")).await.expect(201);
    let again = keyed(entry(&ids, "2026-01-12", "1:00")).await.expect(201);

    assert_eq!(first["id"], again["id"]);
    assert_eq!(keyed(entry(&ids, "2026-01-12", "2:00")).await.status, 422);
}

#[tokio::test]
async fn lists_sums_and_reports_agree() {
    let Aponta { api, .. } = &Aponta::start();
    let ids = given(api).await;
    let days = ["2026-12-28", "2026-12-31", "2027-01-01", "2026-12-27"];
    let items: Vec<_> = days.iter().map(|data| entry(&ids, data, "0:50")).collect();
    let lote = api.post(&format!("{PATH}/lote"), &json!({"items": items})).await.expect(201);
    assert_eq!((&lote["total"], &lote["avisos"].as_array().map(Vec::len)), (&json!(4), &Some(1)));

    let mut seen = Vec::new();
    let mut next = Some(String::new());
    while let Some(apos) = next {
        let page = api.get(&format!("{PATH}?limit=1&apos={apos}&de=2026-12-28")).await.expect(200);
        seen.extend(page["items"].as_array().unwrap().iter().map(|item| item["data_apontamento"].clone()));
        next = page["proximo"].as_str().map(str::to_owned);
    }
    assert_eq!(seen, ["2027-01-01", "2026-12-31", "2026-12-28"]);

    let query = "organization_name=exemplo&project_id=Portal";
    let of_item = api.get(&format!("{PATH}/work-item/41?{query}")).await.expect(200);
    assert_eq!(
        (&of_item["total"], &of_item["total_horas"], &of_item["total_formatado"]),
        (&json!(4), &json!(3.33), &json!("03:20"))
    );
    let resumo = api.get(&format!("{PATH}/work-item/41/resumo?{query}")).await.expect(200);
    assert_eq!((&resumo["primeira_data"], &resumo["ultima_data"]), (&json!("2026-12-27"), &json!("2027-01-01")));
    assert_eq!(resumo["media_horas_por_apontamento"], json!(0.83));

    let report = "/api/v1/relatorios/horas?de=2026-12-01&ate=2027-01-31&agrupar=semana";
    let semanas = api.get(report).await.expect(200);
    let lines: Vec<_> = semanas["linhas"]
        .as_array()
        .unwrap()
        .iter()
        .map(|linha| (linha["semana"]["id"].clone(), linha["minutos"].clone()))
        .collect();
    assert_eq!(lines, [(json!("2026-W52"), json!(50)), (json!("2026-W53"), json!(150))]);
    assert_eq!(semanas["total_minutos"], json!(200));
    let csv = api
        .get("/api/v1/relatorios/horas?de=2026-12-01&ate=2026-12-31&agrupar=projeto,mes&formato=csv&separador=;")
        .await;
    let (projeto, _) = &ids;
    let expected = format!(
        "projeto;id_projeto;mes;duracao;horas;minutos;apontamentos\r\nPortal;{projeto};2026-12;02:30;2,50;150;3\r\n"
    );
    assert_eq!(csv.text, expected);
    let csv = api.get(&format!("{PATH}?formato=csv&separador=;&ate=2026-12-27")).await;
    assert!(csv.text.contains("2026-12-27;00:50;0,83;50;Dev User;dev@localhost;Portal;Revisar;41;;;"), "{}", csv.text);
}

/// With an organisation: the work item is read with the caller's token, and only the owner changes an entry.
#[tokio::test]
async fn work_items_and_owners_are_checked() {
    let organisation = Organisation::start().await;
    organisation.add_user("ana", Some("ana@exemplo.br"));
    organisation.add_user("rui", Some("rui@exemplo.br"));
    let portal = organisation.add_project("Portal");
    organisation.add_work_item(41, "Portal", "Task", "Active", "Tela de pedidos");
    organisation.add_work_item(42, "Portal", "Task", "Closed", "Encerrada");
    let aponta = Aponta::start_with(|program| {
        program.env("AUTH_ENABLED", "true").env("AZURE_DEVOPS_ORG_URL", organisation.url())
    });
    let call = async |token: &str, method: Method, path: &str, body: Value| -> Response {
        send(aponta.api.request(method, path).bearer_auth(token).json(&body)).await
    };
    let atividade =
        call("ana", Method::POST, "/api/v1/atividades", json!({"nome": "A", "id_projeto": portal})).await.expect(201);
    let ids = (portal, atividade["id"].as_str().unwrap().to_owned());
    let on = |id: i64| {
        let mut body = entry(&ids, "2026-01-12", "1:00");
        body["work_item_id"] = json!(id);
        body
    };

    let criado = call("ana", Method::POST, PATH, on(41)).await.expect(201);
    assert_eq!(
        (&criado["avisos"], &criado["work_item"]),
        (&json!([]), &json!({"titulo": "Tela de pedidos", "tipo": "Task"}))
    );
    assert_eq!((&criado["usuario_email"], &criado["organization_name"]), (&json!("ana@exemplo.br"), &json!("exemplo")));
    assert_eq!(call("ana", Method::POST, PATH, on(99)).await.expect(404)["detail"], "Work item 99 não encontrado");
    let text = "O work item 42 está encerrado (Closed) e não recebe apontamentos nem alterações";
    assert_eq!(call("ana", Method::POST, PATH, on(42)).await.expect(422)["detail"], text);
    let mut elsewhere = on(41);
    elsewhere["organization_name"] = json!("outra");
    let text = "Este servidor atende a organização exemplo, e não outra";
    assert_eq!(call("ana", Method::POST, PATH, elsewhere).await.expect(400)["detail"], text);
    for (method, body) in [(Method::PUT, json!({"duracao": "2:00"})), (Method::DELETE, json!(null))] {
        let refused = call("rui", method, &path(&criado), body).await;
        assert_eq!(refused.expect(403)["detail"], "Somente quem apontou pode alterar");
    }
    let eu = call("rui", Method::GET, "/api/v1/user", json!(null)).await.expect(200);
    assert_eq!((&eu["emailAddress"], &eu["avatarUrl"]), (&json!("rui@exemplo.br"), &json!(null)));
    assert_eq!(
        call("rui", Method::GET, &format!("{PATH}?usuario=eu"), json!(null)).await.expect(200)["items"],
        json!([])
    );
    assert_eq!(
        call("ana", Method::PUT, &path(&criado), json!({"duracao": "2:00"})).await.expect(200)["minutos"],
        json!(120)
    );
}
