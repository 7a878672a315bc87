// The review of doubtful digits, numbers and form fields: one after the other, one key each.
//
// An item is {id, kind: "digit"|"number"|"field", source, name?, time?, read, confidence, reasons, image,
// box: [x, y, w, h] in the image's pixels, seen: [URL of each 28×28 image]}.
//
// Nothing is fetched and nothing stored here: what is decided goes to the functions that are given.

const WORDS = {
  digit: { name: "Digit", none: "Not a digit" },
  number: { name: "Number", none: "Not a number" },
  field: { name: "Field", none: "Empty" },
};
const TEXT = /^-?[0-9]+(?:[.,][0-9]+)*$/;

function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

function makeButton(text, key, title, act) {
  const button = make("button", "review-button");
  button.type = "button";
  button.append(make("span", "", text));
  if (key) {
    const shown = make("kbd", "", key);
    shown.setAttribute("aria-hidden", "true");
    button.append(shown);
  }
  if (title) button.setAttribute("aria-label", title);
  button.addEventListener("click", act);
  return button;
}

function percent(confidence) {
  const steps = Math.floor(1000 * confidence + 1e-3); // rounded down, as in Python
  return confidence < 0.9995 ? `${(steps / 10).toFixed(1)}%` : ">99.9%";
}

// What the user types into belongs to the user.
function takesText(element) {
  if (!(element instanceof Element)) return false;
  return element.matches("input, textarea, select") || element.isContentEditable;
}

class Review {
  constructor(root, items, { decide, undo }) {
    this.root = root;
    this.queue = [...items];
    this.at = 0;
    this.history = []; // {item, text}; text is undefined for an item that was skipped
    this.decide = decide;
    this.undoDecision = undo;
    this.busy = false;
    this.build();
    this.onKey = (event) => this.key(event);
    document.addEventListener("keydown", this.onKey);
    this.show();
  }

  build() {
    this.root.classList.add("review");
    this.progress = make("progress", "review-progress");
    this.progress.setAttribute("aria-label", "Progress of the review");
    this.left = make("p", "review-left");
    this.card = make("section", "review-card");
    this.card.tabIndex = -1;
    this.card.setAttribute("aria-label", "What to decide on");
    const picture = make("div", "review-picture");
    this.frame = make("div", "review-frame");
    this.crop = make("img", "review-crop");
    this.crop.addEventListener("load", () => this.mark());
    this.box = make("div", "review-box");
    this.frame.append(this.crop, this.box);
    picture.append(this.frame);
    this.seen = make("div", "review-seen");
    this.read = make("p", "review-read");
    this.reasons = make("ul", "review-reasons");
    this.source = make("p", "review-source");
    const facts = make("div", "review-facts");
    facts.append(this.read, this.reasons, this.seen, this.source);
    this.card.append(picture, facts);
    this.buildDigits();
    this.buildText();
    this.buildOthers();
    this.status = make("p", "review-status");
    this.status.setAttribute("role", "status");
    this.error = make("p", "review-error");
    this.error.setAttribute("role", "alert");
    this.done = make("p", "review-done");
    this.root.replaceChildren(
      this.progress, this.left, this.card, this.done, this.error, this.digits, this.form,
      this.others, this.status,
    );
  }

  buildDigits() {
    this.digits = make("div", "review-digits");
    this.digits.setAttribute("role", "group");
    this.digits.setAttribute("aria-label", "Which digit is it?");
    for (const digit of "1234567890") {
      const press = () => this.finish(digit);
      this.digits.append(makeButton(digit, "", `It is a ${digit}`, press));
    }
  }

  buildText() {
    this.form = make("form", "review-form");
    const label = make("label", "review-label");
    this.label = make("span", "", "What is written there");
    this.input = make("input", "review-input");
    this.input.type = "text";
    this.input.inputMode = "decimal";
    this.input.autocomplete = "off";
    this.input.spellcheck = false;
    this.input.enterKeyHint = "done";
    label.append(this.label, this.input);
    const confirm = makeButton("Confirm", "Enter", "", () => {});
    confirm.type = "submit";
    this.form.append(label, confirm);
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      const text = this.input.value.trim();
      if (TEXT.test(text)) this.finish(text);
      else this.fail("Write digits, with a point, a comma or a minus where there is one.");
    });
    this.input.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.preventDefault();
      this.skip();
    });
  }

  buildOthers() {
    this.others = make("div", "review-others");
    this.none = makeButton("", "", "", () => this.finish(""));
    this.none.replaceChildren(make("span"), make("kbd", "", "n"));
    this.none.lastChild.setAttribute("aria-hidden", "true");
    this.skipButton = makeButton("Skip", "s", "", () => this.skip());
    this.undoButton = makeButton("Undo", "u", "", () => this.undo());
    this.again = makeButton("", "", "", () => this.repeatSkipped());
    this.again.classList.add("review-again");
    this.others.append(this.none, this.skipButton, this.undoButton, this.again);
  }

  get item() {
    return this.queue[this.at];
  }

  get decided() {
    const decided = this.history.filter((one) => one.text !== undefined);
    return new Set(decided.map((one) => one.item));
  }

  // Items that were skipped and are not waiting to be looked at again.
  get skipped() {
    const others = new Set([...this.decided, ...this.queue.slice(this.at)]);
    return [...new Set(this.history.map((one) => one.item))].filter((item) => !others.has(item));
  }

  // --- what is shown ---

  show() {
    const item = this.item;
    const within = this.root.contains(document.activeElement);
    // At first nothing takes the focus, so that no phone opens its keyboard.
    const free = within || (this.history.length > 0 && document.activeElement === document.body);
    const typed = item !== undefined && item.kind !== "digit";
    this.fail("");
    this.progress.max = Math.max(1, this.queue.length);
    this.progress.value = this.at;
    this.left.textContent = this.describeLeft();
    this.card.hidden = item === undefined;
    this.digits.hidden = item === undefined || typed;
    this.form.hidden = !typed;
    this.none.hidden = this.skipButton.hidden = item === undefined;
    this.undoButton.disabled = this.history.length === 0;
    const skipped = this.skipped.length;
    this.again.hidden = item !== undefined || skipped === 0;
    this.again.firstChild.textContent = `Look at the ${skipped} skipped again`;
    this.done.hidden = item !== undefined;
    this.done.textContent = this.queue.length ? "All done." : "Nothing is doubtful.";
    if (item) this.showItem(item, typed);
    else this.status.textContent = `${this.done.textContent} ${this.left.textContent}`;
    if (typed && free) this.chooseText(item);
    else if (within && this.isLost()) (item ? this.card : this.undoButton).focus();
  }

  // Whether the element that had the focus was removed.
  isLost() {
    const active = document.activeElement;
    return !this.root.contains(active) || active.disabled || active.closest("[hidden]") !== null;
  }

  describeLeft() {
    const left = this.queue.length - this.at;
    const skipped = this.skipped.length;
    return `${left} left, ${this.decided.size} decided${skipped ? `, ${skipped} skipped` : ""}`;
  }

  showItem(item, typed) {
    const { name, none } = WORDS[item.kind];
    this.frame.classList.remove("review-marked");
    this.crop.src = item.image;
    this.crop.alt = `${name} in ${item.source}`;
    this.seen.replaceChildren(...item.seen.map((url, place) => {
      const image = make("img", "review-image");
      image.src = url;
      image.alt = `What the model saw, ${place + 1} of ${item.seen.length}`;
      return image;
    }));
    const read = make("strong", "", item.read || "nothing");
    this.read.replaceChildren("read as ", read, ` (${percent(item.confidence)})`);
    this.reasons.replaceChildren(...item.reasons.map((reason) => make("li", "", reason)));
    this.source.textContent = item.time ? `${item.source}, ${item.time}` : item.source;
    this.none.firstChild.textContent = none;
    this.none.lastChild.hidden = this.skipButton.lastChild.hidden = typed;
    this.undoButton.lastChild.hidden = typed;
    this.label.textContent = `What is written there (${name.toLowerCase()})`;
    if (typed) this.input.value = item.read;
    const why = item.reasons.join(", ");
    this.status.textContent =
      `${name} ${this.at + 1} of ${this.queue.length}: ${this.read.textContent}. ${why}`;
  }

  mark() {
    const item = this.item;
    const { naturalWidth: width, naturalHeight: height } = this.crop;
    if (!item || !width || !height) return;
    const [x, y, w, h] = item.box;
    this.frame.style.setProperty("--width", width);
    this.frame.style.setProperty("--height", height);
    this.box.style.left = `${(100 * x) / width}%`;
    this.box.style.top = `${(100 * y) / height}%`;
    this.box.style.width = `${(100 * w) / width}%`;
    this.box.style.height = `${(100 * h) / height}%`;
    this.frame.classList.add("review-marked");
  }

  // What could not be read is what is typed first.
  chooseText(item) {
    const place = item.read.indexOf("?");
    this.input.focus({ preventScroll: true });
    if (place >= 0) this.input.setSelectionRange(place, place + 1);
    else this.input.select();
  }

  fail(text) {
    this.error.textContent = text;
    this.error.hidden = !text;
  }

  // --- what is done ---

  async finish(text) {
    const item = this.item;
    if (item === undefined) return;
    await this.attempt(() => this.decide(item, text), () => {
      this.history.push({ item, text });
      this.at += 1;
    });
  }

  skip() {
    if (this.item === undefined || this.busy) return;
    this.history.push({ item: this.item, text: undefined });
    this.at += 1;
    this.show();
  }

  async undo() {
    const last = this.history.at(-1);
    if (last === undefined) return;
    const call = () => (last.text === undefined ? undefined : this.undoDecision(last.item));
    await this.attempt(call, () => {
      this.history.pop();
      this.at -= 1;
    });
  }

  repeatSkipped() {
    this.queue.push(...this.skipped);
    this.show();
  }

  // Waits for a function of the caller; only if it succeeds, it is noted and the next item shown.
  async attempt(call, note) {
    if (this.busy) return;
    this.busy = true;
    this.root.setAttribute("aria-busy", "true");
    try {
      await call();
    } catch (error) {
      this.fail(`Not saved: ${error instanceof Error ? error.message : error}. Try again.`);
      return;
    } finally {
      this.busy = false;
      this.root.removeAttribute("aria-busy");
    }
    note();
    this.show();
  }

  key(event) {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    const target = event.composedPath()[0];
    if (takesText(target) || this.root.getClientRects().length === 0) return;
    const pressable = target instanceof Element && target.closest("button, a, summary");
    if (pressable && (event.key === " " || event.key === "Enter")) return;
    if (this.item && this.item.kind !== "digit" && /^[0-9.,-]$/.test(event.key)) {
      this.chooseText(this.item); // which then gets the key
      return;
    }
    const act = this.actionOf(event.key);
    if (act === undefined || (event.repeat && event.key !== "Backspace")) return;
    event.preventDefault();
    act();
  }

  actionOf(key) {
    if (["u", "U", "ArrowLeft", "Backspace"].includes(key)) return () => this.undo();
    if (this.item === undefined) return undefined;
    if (["s", "S", " ", "ArrowRight"].includes(key)) return () => this.skip();
    if (this.item.kind !== "digit") return undefined;
    if (["n", "N", "Delete"].includes(key)) return () => this.finish("");
    return /^[0-9]$/.test(key) ? () => this.finish(key) : undefined;
  }

  add(items) {
    this.queue.push(...items);
    if (this.at === this.queue.length - items.length) this.show();
    this.progress.max = Math.max(1, this.queue.length);
    this.left.textContent = this.describeLeft();
  }

  stop() {
    document.removeEventListener("keydown", this.onKey);
    this.root.replaceChildren();
  }
}

/**
 * Lets a person decide on items, one after the other.
 *
 * Keys: 0 to 9; n or Delete: not a digit; s, space or arrow right: skip; u, arrow left or Backspace:
 * undo. Numbers and fields are typed: Enter confirms, Escape skips.
 *
 * @param root element that becomes the review; what it contains is replaced.
 * @param items what to decide on, in this order.
 * @param decide called with an item and its text: "0" to "9", the text of a number or field, or ""
 *   where there is none. It may return a promise; if that fails, the item stays.
 * @param undo called with an item whose decision is taken back; likewise.
 * @returns {{add: (items) => void, stop: () => void}} add: put more items at the end; stop: take
 *   the review away again.
 */
export function startReview(root, items, { decide, undo }) {
  const review = new Review(root, items, { decide, undo });
  return { add: (more) => review.add(more), stop: () => review.stop() };
}
