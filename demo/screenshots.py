"""``python -m demo.screenshots``: pictures of Airflow's UI for the documentation.

It needs Chromium and its driver from the operating system, and selenium:
``uv pip install -c constraints.txt -e '.[screenshots]'``.
"""

from __future__ import annotations

import argparse
import json
import secrets
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By

from demo.__main__ import ROOT, Sandbox, connections
from demo.airflow import Airflow
from demo.processes import Processes
from demo.workflows import AMBERFLO_SOURCES, SEEDS

IMAGES = ROOT / "docs" / "images"
CREDIT = "credit-known-customer"
INVOICE = "meter-usage-and-invoice"
SHIPPED = ("fin_amberflo_usage_to_stripe_invoice.py", "amberflo_provision_customer_billing.py")
RUNS: dict[str, dict[str, Any]] = {
    CREDIT: {"customerId": "acme", "customerName": "Acme GmbH", "amount": 250.5},
    # Nothing waits to be billed for this one: the last step finds a paid invoice where an open one should be.
    INVOICE: {
        "meterApiName": "api-calls",
        "customerId": "acme",
        "stripeCustomer": "cus_empty",
        "usageValue": 7,
        "currency": "usd",
    },
    "provision-customer-billing": {
        "customerId": "globex",
        "customerName": "Globex Inc",
        "productId": "pay-as-you-go",
        "amount": 250.5,
    },
}
FOLD = """
for (const element of document.querySelectorAll('details, [open]'))
  if (element.textContent.includes('What to do')) element.open = false;
for (const element of document.querySelectorAll('code, p, span, div'))
  if (/^File "/.test(element.textContent.trim()) && !element.textContent.includes('What to do'))
    element.style.display = 'none';
"""
PATIENCE = 90.0
"""Seconds until a page must show what is waited for."""


class Browser:
    """Headless Chromium, logged in.

    :param airflow: the Airflow to look at.
    :param height: of its window, in pixels.
    """

    def __init__(self, airflow: Airflow, chromium: str, driver: str, *, height: int = 900) -> None:
        options = webdriver.ChromeOptions()
        options.binary_location = chromium
        for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"):
            options.add_argument(argument)
        options.add_argument(f"--window-size=1440,{height}")
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self._driver = webdriver.Chrome(options=options, service=Service(driver))
        self._url = airflow.url
        self._driver.get(f"{airflow.url}/auth/login")
        self._driver.add_cookie({"name": "_token", "value": airflow.token, "path": "/"})

    def picture(
        self, name: str, path: str, *words: str, then: Callable[[webdriver.Chrome], None] | None = None
    ) -> None:
        """Take a picture of a page once it shows some words.

        :param then: what to do on the page before the picture is taken.
        :raises RuntimeError: when the words do not appear.
        """
        self.open(path, *words[:1], name=name)
        if then is not None:
            then(self._driver)
        self._wait(name, words)
        time.sleep(2)  # layouts of graphs and fading boxes
        if str(ROOT) in self._text():
            raise RuntimeError(f"{name}: the picture would name a folder of this machine")
        IMAGES.mkdir(exist_ok=True)
        self._driver.save_screenshot(str(IMAGES / f"{name}.png"))
        print(f"docs/images/{name}.png", flush=True)

    def open(self, path: str, *words: str, name: str = "") -> webdriver.Chrome:
        """Open a page, and wait until it shows some words.

        :param name: of the page, for messages and the picture of what is there instead.
        :raises RuntimeError: when the words do not appear.
        """
        self._driver.get(self._url + path)
        self._wait(name or path.strip("/").replace("/", "-"), words)
        return self._driver

    def errors(self) -> list[dict[str, Any]]:
        """What has come to the browser's console as an error since this was asked for last."""
        driver: Any = self._driver
        return [entry for entry in driver.get_log("browser") if entry["level"] == "SEVERE"]

    def _wait(self, name: str, words: tuple[str, ...]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not all(word in self._text() for word in words):
            if time.monotonic() > deadline:
                self._driver.save_screenshot(str(IMAGES / f"{name}-missing.png"))
                raise RuntimeError(f"{name}: {words} did not all appear")
            time.sleep(0.3)

    def _text(self) -> str:
        shown = str(self._driver.execute_script("return document.body.innerText"))
        for frame in self._driver.find_elements(By.TAG_NAME, "iframe"):
            self._driver.switch_to.frame(frame)
            shown += str(self._driver.execute_script("return document.body.innerText"))
            self._driver.switch_to.default_content()
        return shown

    def close(self) -> None:
        """End it."""
        self._driver.quit()


def click(words: str) -> Callable[[webdriver.Chrome], None]:
    """Click the first button with a text or a label."""

    def act(driver: webdriver.Chrome) -> None:
        path = f"//button[contains(normalize-space(.), '{words}') or contains(@aria-label, '{words}')]"
        found = driver.find_elements(By.XPATH, path)
        if not found:
            labels = [
                each.get_attribute("aria-label") for each in driver.find_elements(By.TAG_NAME, "button")
            ]
            raise RuntimeError(f"there is no button {words!r}, but {labels}")
        driver.execute_script("arguments[0].click()", found[0])

    return act


def folded(driver: webdriver.Chrome) -> None:
    """Wrap the lines of a log, and fold the frames of its traceback, which name this machine."""
    driver.execute_script(FOLD)
    ActionChains(driver).send_keys("w").perform()


def scrolled_to(words: str) -> Callable[[webdriver.Chrome], None]:
    """Scroll to the first cell with a text."""

    def act(driver: webdriver.Chrome) -> None:
        cell = driver.find_element(By.XPATH, f"//td[normalize-space(.)='{words}']")
        driver.execute_script("arguments[0].scrollIntoView()", cell)

    return act


def take(airflow: Airflow, browser: Browser, runs: Mapping[str, str]) -> None:
    """Take all pictures."""
    credit, invoice = f"/dags/{CREDIT}", f"/dags/{INVOICE}/runs/{runs[INVOICE]}"
    browser.picture("dags", "/dags", CREDIT, INVOICE)
    run = f"{credit}/runs/{runs[CREDIT]}"
    browser.picture("workflow-tab", f"{run}/plugin/arazzo-run", "credit", "POST /customers")
    browser.picture("trigger-form", credit, CREDIT, "customerId", then=click("Trigger"))
    browser.picture("documentation", credit, CREDIT, "Steps", then=click("Dag Docs"))
    browser.picture("failed-step", f"{invoice}/tasks/finalize-invoice", "What to do", then=folded)
    rendered = f"{invoice}/tasks/ingest-usage/rendered_templates"
    browser.picture("rendered-request", rendered, "response", then=scrolled_to("request"))
    # The last one: the browser keeps to the graph from then on, and other pages have less room.
    browser.picture("graph-after-a-branch", run, "credit", "create", then=click("raph"))


def main() -> int:
    """Exit status 0 when there is every picture."""
    parser = argparse.ArgumentParser(prog="demo.screenshots", description="Pictures of Airflow's UI")
    parser.add_argument(
        "--home", type=Path, default=ROOT / ".demo-pictures", help="folder for Airflow's files"
    )
    parser.add_argument("--chromium", default=shutil.which("chromium") or "chromium")
    parser.add_argument("--driver", default=shutil.which("chromedriver") or "chromedriver")
    given = parser.parse_args()
    home = given.home.resolve()
    shutil.rmtree(home, ignore_errors=True)
    processes = Processes(home / "processes")
    keys = {"amberflo": f"amberflo-{secrets.token_hex(24)}", "stripe": f"sk_test_{secrets.token_hex(24)}"}
    try:
        sandbox = Sandbox(processes, keys)
        airflow = Airflow(home, dags(home), processes)
        shown = {
            # Bodies of the other service are long.
            name: {**fields, "extra": json.dumps({"log_bodies": name in AMBERFLO_SOURCES})}
            for name, fields in connections(sandbox.url, keys).items()
        }
        airflow.prepare(shown)
        airflow.start()
        sandbox.call("POST", "seed", {**SEEDS, "stripe": {"customers": [{"id": "cus_empty"}]}})
        airflow.wait_for_dags(set(RUNS))
        runs = {dag_id: airflow.trigger(dag_id, conf) for dag_id, conf in RUNS.items()}
        airflow.wait_for_runs(runs)
        browser = Browser(airflow, given.chromium, given.driver)
        try:
            take(airflow, browser, runs)
        finally:
            browser.close()
    except (RuntimeError, OSError) as error:
        print(f"✗ {error}")
        return 1
    finally:
        processes.stop()
    return 0


def dags(home: Path) -> Path:
    """A folder with the DAG files of the pictures, at the same depth as where they are from."""
    folder = home / "dags"
    folder.mkdir(parents=True)
    for name in SHIPPED:
        text = (ROOT / "dags" / name).read_text().replace('"../specs/', f'"{ROOT}/specs/')
        (folder / name).write_text(text)
    text = (ROOT / "demo/pictures/dags/pictures.py").read_text()
    (folder / "pictures.py").write_text(text.replace('"../', f'"{ROOT}/demo/pictures/'))
    return folder


if __name__ == "__main__":
    sys.exit(main())
