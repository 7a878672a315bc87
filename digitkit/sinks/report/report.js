// The report's own part: corrections are kept in the browser, and downloaded as a file.
// It follows review.js in one script, so that the page needs no other file.

const STORE = `digitkit-report-${document.body.dataset.report}`;

function loadDecisions() {
  try {
    return new Map(JSON.parse(localStorage.getItem(STORE) ?? "[]"));
  } catch {
    return new Map(); // the browser stores nothing for files
  }
}

function storeDecisions(decisions) {
  try {
    localStorage.setItem(STORE, JSON.stringify([...decisions]));
  } catch {
    // They are still in the page until it is closed.
  }
}

function toLine(item, text) {
  const images = item.seen.map((url) => url.slice(url.indexOf(",") + 1));
  const { id, kind, source, name, read } = item;
  return `${JSON.stringify({ id, kind, source, name, read, text, images })}\n`;
}

function startReport() {
  const items = JSON.parse(document.getElementById("items").textContent);
  const root = document.getElementById("review");
  const download = document.getElementById("download");
  const restart = document.getElementById("restart");
  const count = document.getElementById("count");
  const decisions = loadDecisions();
  let review;

  function update() {
    const known = items.filter((item) => decisions.has(item.id)).length;
    count.textContent = `${known} ${known === 1 ? "correction" : "corrections"}`;
    download.disabled = restart.disabled = known === 0;
    storeDecisions(decisions);
  }

  function begin() {
    review?.stop();
    review = startReview(root, items.filter((item) => !decisions.has(item.id)), {
      decide(item, text) {
        decisions.set(item.id, text);
        update();
      },
      undo(item) {
        decisions.delete(item.id);
        update();
      },
    });
    update();
  }

  download.addEventListener("click", () => {
    const lines = items.filter((item) => decisions.has(item.id))
      .map((item) => toLine(item, decisions.get(item.id)));
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob(lines, { type: "application/jsonl" }));
    link.download = "corrections.jsonl";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });
  restart.addEventListener("click", () => {
    if (!confirm("Forget all corrections that were made in this report?")) return;
    decisions.clear();
    begin();
  });
  begin();
}

startReport();
