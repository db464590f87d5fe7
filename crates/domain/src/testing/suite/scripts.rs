//! Names in twelve scripts: every database searches and orders them alike.

use super::atividades_list::page;
use super::{Repositories, given_projeto, nome_atividade, record};
use crate::{AtividadeCampo, AtividadeFiltro, AtividadeQuery, AtividadeRecord, Busca, Limit, Ordem, search_key};

/// Names by script, with pairs that differ in case, in accents, or in a letter that only looks like an accent.
#[rustfmt::skip]
const NAMES: [[&str; 17]; 12] = [
    // Latin
    ["Ação", "acao", "ACÃO", "Éden", "éden", "Ångström", "Ñandú", "straße", "STRASSE", "Œuvre", "İstanbul", "ıssız", "Łódź", "Þórr", "naïve", "Zürich", "e\u{301}cole"],
    // Greek
    ["Οδός", "ΟΔΟΣ", "οδοσ", "Σίσυφος", "ΣΙΣΥΦΟΣ", "σοφία", "Ἀθῆναι", "ΑΘΗΝΑΙ", "Ὀδυσσεύς", "λόγος", "ΛΌΓΟΣ", "Ω", "ώρα", "ὧδε", "ΐ", "Έργο", "τέλος Α"],
    // Cyrillic
    ["Ёлка", "елка", "ЁЛКА", "Йод", "иод", "Київ", "київ", "Ґанок", "Ћуприја", "Ъгъл", "Щука", "щука", "Ѣра", "Жизнь", "жизнь", "Ўзбек", "Љубав"],
    // Armenian
    ["Երևան", "երևան", "ԵՐԵՎԱՆ", "Հայաստան", "հայաստան", "Աշխատանք", "աշխատանք", "Նախագիծ", "Ծրագիր", "ծրագիր", "Գործ", "գործ", "Ժամ", "Օր", "և", "Շաբաթ", "Տարի"],
    // Georgian
    ["თბილისი", "ᲗᲑᲘᲚᲘᲡᲘ", "საქართველო", "პროექტი", "ᲞᲠᲝᲔᲥᲢᲘ", "საათი", "დღე", "კვირა", "თვე", "წელი", "სამუშაო", "ანგარიში", "ჯგუფი", "Ⴀნი", "ⴀნი", "ხვალ", "გუშინ"],
    // Hebrew
    ["שלום", "שָׁלוֹם", "פרויקט", "פעילות", "שעה", "יום", "שבוע", "חודש", "שנה", "ירושלים", "יְרוּשָׁלַיִם", "תל אביב", "דוח", "עבודה", "צוות", "מחר", "אתמול"],
    // Arabic
    ["مشروع", "مَشْرُوع", "نشاط", "ساعة", "يوم", "أسبوع", "شهر", "سنة", "القاهرة", "إدارة", "آخر", "تقرير", "عمل", "فريق", "غدا", "پروژه", "کار"],
    // Devanagari
    ["हिन्दी", "परियोजना", "गतिविधि", "घंटा", "दिन", "सप्ताह", "महीना", "वर्ष", "दिल्ली", "काम", "कम", "की", "क़लम", "ज़मीन", "रिपोर्ट", "दल", "कल"],
    // Thai
    ["โครงการ", "กิจกรรม", "ชั่วโมง", "วัน", "สัปดาห์", "เดือน", "ปี", "กรุงเทพ", "งาน", "ทีม", "รายงาน", "พรุ่งนี้", "เมื่อวาน", "น้ำ", "ที่", "ก้าว", "กาว"],
    // Hangul
    ["프로젝트", "활동", "시간", "일", "주", "월", "년", "서울", "업무", "보고서", "팀", "내일", "어제", "가", "각", "ㄱ", "한국어"],
    // Kana
    ["がくせい", "かくせい", "ガクセイ", "カクセイ", "プロジェクト", "フロシエクト", "ぱん", "はん", "ばん", "じかん", "ヴィオラ", "ウイオラ", "ｶﾞｸｾｲ", "きょう", "キョウ", "あした", "昨日の"],
    // Han
    ["项目", "項目", "活动", "活動", "小时", "日", "周", "月", "年", "北京", "工作", "报告", "團隊", "明天", "昨天", "漢字", "豈"],
];

/// Inserts all names and returns them with their numbers.
async fn given_names(db: &Repositories) -> Vec<(u128, &'static str)> {
    let projeto = given_projeto(db, 1, "Portal").await.id;
    let names: Vec<_> = (1..).zip(NAMES.into_iter().flatten()).collect();
    let record = |(n, nome): &(u128, &str)| AtividadeRecord { nome: nome_atividade(nome), ..record(*n, projeto) };
    db.atividades.insert_all(names.iter().map(record).collect(), None).await.unwrap();
    names
}

async fn found(db: &Repositories, texto: &str) -> Vec<u128> {
    let filtro = AtividadeFiltro { texto: Some(Busca::parse(texto).unwrap()), ..AtividadeFiltro::default() };
    let (mut found, _) = page(db, AtividadeQuery { filtro, limit: all(), ..AtividadeQuery::default() }).await;
    found.sort_unstable();
    found
}

fn all() -> Limit {
    Limit::parse(1000).unwrap()
}

/// The order is that of the search keys by code point, then of the ids.
pub async fn list_of_names_in_twelve_scripts_is_ordered(db: &Repositories) {
    let names = given_names(db).await;
    let mut expected: Vec<_> = names.iter().map(|(n, nome)| (search_key(nome), *n)).collect();
    expected.sort();

    let ordem = Ordem { campo: AtividadeCampo::Nome, decrescente: false };
    let (numbers, total) = page(db, AtividadeQuery { ordem, limit: all(), ..AtividadeQuery::default() }).await;

    assert_eq!(total, names.len() as u64);
    assert_eq!(numbers, expected.into_iter().map(|(_, n)| n).collect::<Vec<_>>());
}

/// Every name is found in upper and in lower case, and with it exactly the names that contain its search key.
pub async fn search_of_names_in_twelve_scripts_finds_the_same(db: &Repositories) {
    let names = given_names(db).await;

    for (n, nome) in &names {
        let key = search_key(nome);
        let expected: Vec<_> =
            names.iter().filter(|(_, other)| search_key(other).contains(&key)).map(|(n, _)| *n).collect();
        assert!(expected.contains(n));
        assert_eq!(found(db, nome).await, expected, "{nome}");
        assert_eq!(found(db, &nome.to_lowercase()).await, expected, "{nome} in lower case");
    }
}

/// Pairs that a reader takes for the same word, or for two.
pub async fn search_folds_accents_and_keeps_letters(db: &Repositories) {
    let names = given_names(db).await;
    let ids_of = |expected: &[&str]| -> Vec<u128> {
        let is_expected = |(_, nome): &&(u128, &str)| expected.contains(nome);
        names.iter().filter(is_expected).map(|(n, _)| *n).collect()
    };

    for (texto, expected) in [
        ("ação", &["Ação", "acao", "ACÃO"][..]),
        ("ISTANBUL", &["İstanbul"]),
        // The final sigma is a form of the letter: a part of a word has none.
        ("οδός", &["Οδός", "ΟΔΟΣ", "οδοσ"]),
        ("ΣΙΣ", &["Σίσυφος", "ΣΙΣΥΦΟΣ"]),
        ("ς", &["Οδός", "ΟΔΟΣ", "οδοσ", "Σίσυφος", "ΣΙΣΥΦΟΣ", "σοφία", "Ὀδυσσεύς", "λόγος", "ΛΌΓΟΣ", "τέλος Α"]),
        ("αθηναι", &["Ἀθῆναι", "ΑΘΗΝΑΙ"]),
        ("елка", &["Ёлка", "елка", "ЁЛКА"]),
        ("ᲗᲑᲘᲚ", &["თბილისი", "ᲗᲑᲘᲚᲘᲡᲘ"]),
        // Vowel signs, points and voicing marks make other words.
        ("कम", &["कम"]),
        ("काम", &["काम"]),
        ("かくせい", &["かくせい"]),
        ("กาว", &["กาว"]),
        ("שלום", &["שלום"]),
        ("مشروع", &["مشروع"]),
        // A syllable is decomposed, so it is found in one with a final consonant.
        ("가", &["시간", "가", "각"]),
    ] {
        assert_eq!(found(db, texto).await, ids_of(expected), "{texto}");
    }
}
