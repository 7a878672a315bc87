// The device and the service itself.
// @ts-check

import { byId, keepWords, make, refill, say, seconds } from "./dom.js";
import { getJson, repeat } from "./service.js";

function fillFacts(/** @type {HTMLElement} */ list, /** @type {[string, unknown][]} */ facts) {
  const known = facts.filter(([, value]) => value !== null && value !== undefined && value !== "");
  refill(list, known.flatMap(([name, value]) => [make("dt", "", name), make("dd", "", `${value}`)]));
}

async function showHealth() {
  const health = await getJson("api/health");
  const seen = health.camera;
  fillFacts(byId("health"), [
    ["Service", health.status === "ok" ? "fine" : "the camera does not deliver pictures"],
    ["Running for", seconds(health.uptime)],
    ["Pictures waiting", health.waiting],
    ["Camera", seen === null ? "none" : seen.age === null ? "no picture yet" : `${seen.fps.toFixed(1)} frames/s, updated ${seconds(seen.age)} ago`],
    ["Camera’s last message", seen?.note],
    ["Processor", health.temperature === null ? null : `${health.temperature.toFixed(0)} °C`],
  ]);
}

async function showFacts() {
  const { digitkit, machine, model, token } = await getJson("api/device");
  byId("logout").hidden = !token;
  fillFacts(byId("versions"), [
    ["Board", machine.board], ["Processor", machine.cpu], ["System", machine.system], ["digitkit", digitkit],
    ["Python", machine.python], .../** @type {[string, unknown][]} */ (Object.entries(machine.packages)),
  ]);
  const number = new Intl.NumberFormat("en");
  const share = (/** @type {number|undefined} */ value, digits = 2) => (value == null ? null : `${(100 * value).toFixed(digits)}%`);
  const accuracy = share(model.test_accuracy);
  fillFacts(byId("model"), [
    ["File", model.file],
    ["Recipe", model.recipe],
    ["Accuracy", accuracy && `${accuracy} on ${model.test_data ?? "test images"} (${number.format(model.test_count)})`],
    ["Calibration error", share(model.calibration_error)],
    ["Accepts digits from", share(model.min_confidence, 1)],
    ["Precision", model.precision],
    ["Parameters", model.parameters && number.format(model.parameters)],
    ["Multiply-adds", model.multiply_adds && `${number.format(model.multiply_adds)} per digit`],
    ["Trained on", model.data],
    ["Licence", model.licence],
    ["SHA-256", model.sha256],
  ]);
}

export function showDevice(/** @type {AbortSignal} */ signal) {
  const page = location.href.split("#")[0];
  byId("curl").textContent = `curl --data-binary @page.jpg ${page}api/read`;
  keepWords(byId("curl"));
  repeat(5000, signal, showHealth);
  showFacts().then(() => say(byId("device-problem")), (error) => say(byId("device-problem"), error));
}

/** @type {Record<string, string>} */
const STATES = { ok: "fine", warning: "", problem: "bad", skipped: "plain" };

export async function runDoctor() {
  const button = byId("doctor");
  button.disabled = true;
  byId("doctor-summary").textContent = "Looking …";
  try {
    const { checks } = await getJson("api/doctor");
    const count = (/** @type {string} */ state) => checks.filter((/** @type {any} */ check) => check.state === state).length;
    const [problems, warnings] = [count("problem"), count("warning")];
    byId("doctor-summary").textContent = problems || warnings
      ? `${problems} ${problems === 1 ? "problem" : "problems"}, ${warnings} ${warnings === 1 ? "warning" : "warnings"}`
      : "Nothing is wrong.";
    byId("doctor-table").hidden = false;
    byId("doctor-rows").replaceChildren(...checks.map((/** @type {any} */ check) => {
      const tag = make("span", `tag ${STATES[check.state]}`, check.state);
      const found = make("td", "", check.found);
      if (check.remedy) found.append(make("span", "remedy", check.remedy));
      const cells = [make("td", "", check.name), make("td", "", tag), found];
      cells.forEach((cell) => cell.setAttribute("role", "cell"));
      const row = make("tr", "", ...cells);
      row.setAttribute("role", "row");
      return row;
    }));
  } catch (error) {
    byId("doctor-summary").textContent = error instanceof Error ? error.message : `${error}`;
  } finally {
    button.disabled = false;
  }
}
