// What an exported model says of itself: the `metadata_props` in its file, which ONNX Runtime's web
// package does not give out. Only that much of the file's format (protocol buffers) is read here.

/** Field of ONNX's `ModelProto` with a key and a value of the metadata. */
const METADATA_FIELD = 14;

/** A model's metadata by key. Throws `RangeError` if the file is damaged. */
export function readMetadata(model: Uint8Array): Map<string, string> {
  const found = new Map<string, string>();
  for (const { field, bytes } of fieldsOf(model)) {
    if (field !== METADATA_FIELD || !bytes) continue;
    const texts = ["", ""];
    for (const entry of fieldsOf(bytes)) {
      if (entry.bytes && (entry.field === 1 || entry.field === 2)) {
        texts[entry.field - 1] = new TextDecoder().decode(entry.bytes);
      }
    }
    found.set(texts[0], texts[1]);
  }
  return found;
}

interface Field {
  readonly field: number;
  /** The content of texts and messages; null for numbers. */
  readonly bytes: Uint8Array | null;
}

function* fieldsOf(message: Uint8Array): Generator<Field> {
  let at = 0;
  const number = (): number => {
    let value = 0;
    for (let factor = 1; factor < 2 ** 64; factor *= 128) {
      if (at >= message.length) break;
      const byte = message[at++];
      value += (byte & 127) * factor;
      if (byte < 128) return value;
    }
    throw new RangeError("the model file is damaged");
  };
  while (at < message.length) {
    const tag = number();
    const field = Math.floor(tag / 8);
    const kind = tag % 8;
    let bytes: Uint8Array | null = null;
    if (kind === 0) number();
    else if (kind === 1) at += 8;
    else if (kind === 5) at += 4;
    else if (kind === 2) {
      const length = number();
      bytes = message.subarray(at, at + length);
      at += length;
    } else throw new RangeError("the model file is damaged");
    if (at > message.length) throw new RangeError("the model file is damaged");
    yield { field, bytes };
  }
}
