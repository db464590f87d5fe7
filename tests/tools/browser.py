"""Drives /docs and /redoc of a running server in headless Chromium.

usage: browser.py BASE_URL PROJETO [DIRECTORY]

PROJETO is the id of a projeto on which an atividade is created. Screenshots go to DIRECTORY, if one is named.
"""

import json
import pathlib
import sys
from urllib.parse import urlsplit

from chromium import browser
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

BASE, PROJETO = sys.argv[1], sys.argv[2]
SHOTS = pathlib.Path(sys.argv[3]) if len(sys.argv) > 3 else None


def shoot(driver, name):
    if SHOTS:
        SHOTS.mkdir(parents=True, exist_ok=True)
        driver.save_screenshot(str(SHOTS / f"{name}.png"))


def nothing_is_wrong(driver):
    """No line in the console, no request to another host, no failed request, nothing stored."""
    # DEBUG holds Chromium's recommendations, such as an autocomplete attribute for Swagger UI's own form.
    console = [entry for entry in driver.get_log("browser") if entry["level"] != "DEBUG"]
    urls, failed = [], []
    for entry in driver.get_log("performance"):
        event = json.loads(entry["message"])["message"]
        if event["method"] == "Network.requestWillBeSent":
            urls.append(event["params"]["request"]["url"])
        if event["method"] == "Network.responseReceived" and event["params"]["response"]["status"] >= 400:
            failed.append(event["params"]["response"]["url"])
    # A new tab's own page comes before ours.
    ours = [url for url in urls if urlsplit(url).scheme not in ("data", "blob", "chrome", "about")]
    outside = [url for url in ours if urlsplit(url).netloc != urlsplit(BASE).netloc]
    stored = driver.execute_script("return [localStorage.length, sessionStorage.length, document.cookie]")
    assert ours and not outside, outside
    assert not console, console
    assert not failed, failed
    assert stored == [0, 0, ""], stored


def waiting(driver):
    return WebDriverWait(driver, 30, ignored_exceptions=[Exception])


def find(driver, css):
    return waiting(driver).until(lambda d: d.find_element(By.CSS_SELECTOR, css))


def click(driver, css, root=None):
    element = waiting(driver).until(lambda _: (root or driver).find_element(By.CSS_SELECTOR, css))
    driver.execute_script('arguments[0].scrollIntoView({block: "center"})', element)
    waiting(driver).until(lambda _: element.is_displayed() and element.is_enabled())
    element.click()


def write(element, text):
    element.send_keys(Keys.CONTROL, "a")
    element.send_keys(text)


def authorize(driver):
    """A token is taken and shown nowhere."""
    click(driver, ".auth-wrapper .authorize")
    find(driver, "#auth-bearer-value").send_keys("segredo")
    shoot(driver, "docs-authorize")
    click(driver, "button.authorize", driver.find_element(By.XPATH, '//form[.//*[@id="auth-bearer-value"]]'))
    leave = '//button[text()="Logout"]'
    waiting(driver).until(lambda d: "segredo" not in d.page_source and d.find_elements(By.XPATH, leave))
    click(driver, ".btn-done")


def create(driver):
    """«Try it out» creates an atividade."""
    post = "#operations-Atividades-criar_atividade"
    click(driver, f"{post} .opblock-summary-control")
    click(driver, f"{post} .try-out__btn")
    write(find(driver, f"{post} textarea"), json.dumps({"nome": "Do navegador", "id_projeto": PROJETO}))
    click(driver, f"{post} .execute")
    status = find(driver, f"{post} .live-responses-table tr.response td.response-col_status")
    waiting(driver).until(lambda _: status.text.strip())
    shoot(driver, "docs-try-it-out")
    assert status.text.startswith("201"), status.text
    response = driver.find_element(By.CSS_SELECTOR, f"{post} .live-responses-table .highlight-code").text
    assert "Do navegador" in response, response


def bounds(driver):
    """A value beyond its bounds is rejected before it is sent."""
    get = "#operations-Atividades-listar_atividades"
    click(driver, f"{get} .opblock-summary-control")
    click(driver, f"{get} .try-out__btn")
    limit = f'{get} tr[data-param-name="limit"] input'
    write(find(driver, limit), "5000")
    click(driver, f"{get} .execute")
    title = find(driver, f"{limit}.invalid").get_attribute("title")
    assert title.startswith("Value must be"), title


def docs(driver, path):
    driver.get(BASE + path)
    blocks = waiting(driver).until(lambda d: d.find_elements(By.CSS_SELECTOR, ".opblock"))
    shoot(driver, "docs")
    assert len(blocks) >= 17, len(blocks)
    authorize(driver)
    create(driver)
    bounds(driver)


def redoc(driver, path):
    driver.get(BASE + path)
    find(driver, '[data-section-id*="operation/criar_atividade"]')
    waiting(driver).until(lambda d: d.find_elements(By.XPATH, '//button[text()="Show pattern"]'))
    shoot(driver, "redoc")
    find(driver, "input[role=search], .search-input").send_keys("criar")
    results = '[data-role="search:results"]'
    waiting(driver).until(lambda d: "Criar atividade" in d.find_element(By.CSS_SELECTOR, results).text)


def favicon(driver, _):
    driver.get(BASE + "/favicon.ico")


for page, path in ((docs, "/docs"), (docs, "/docs/"), (redoc, "/redoc"), (redoc, "/redoc/"), (favicon, "")):
    with browser() as driver:
        page(driver, path)
        nothing_is_wrong(driver)
