// The golden vectors of `make_golden.py`, which describes the file; for Node and for browsers.

/**
 * @param {ArrayBuffer} buffer the file's bytes, not compressed
 * @returns {{pictures: {width: number, height: number, data: Uint8Array}[], forms: Uint8Array[],
 *   outputs: Float32Array[]}} pictures are RGBA
 */
export function parseGolden(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const header = new TextDecoder().decode(new Uint8Array(buffer, 4, length));
  let at = 4 + length;
  const take = (count) => new Uint8Array(buffer, (at += count) - count, count);
  const pictures = JSON.parse(header).pictures.map(({ width, height, channels }) => {
    const pixels = take(width * height * channels);
    const data = new Uint8Array(4 * width * height);
    for (let i = 0; i < width * height; i++) {
      for (let c = 0; c < 3; c++) data[4 * i + c] = pixels[channels * i + (channels === 3 ? c : 0)];
      data[4 * i + 3] = 255;
    }
    return { width, height, data };
  });
  const forms = pictures.map(() => take(28 * 28));
  const outputs = pictures.map(() => new Float32Array(take(4 * 11).slice().buffer));
  return { pictures, forms, outputs };
}

/**
 * Compare the page's code with the golden vectors.
 *
 * @param {ArrayBuffer} buffer the file's bytes, not compressed
 * @param code `toGrey` and `digitImage` of the build, and a `Model`
 */
export async function compareGolden(buffer, { toGrey, digitImage, model }) {
  const { pictures, forms, outputs } = parseGolden(buffer);
  let [different, differentByMore, sameDigit, probabilityError] = [0, 0, 0, 0];
  for (const [i, picture] of pictures.entries()) {
    const form = digitImage(toGrey(picture));
    for (const [at, level] of form.data.entries()) {
      const difference = Math.abs(level - forms[i][at]);
      different += difference > 0;
      differentByMore += difference > 1;
    }
    const expected = outputs[i].subarray(0, 10);
    const digit = expected.indexOf(Math.max(...expected));
    sameDigit += (await model.classify(form)).digit === digit;
    // The probabilities of the very pixels that digitkit had.
    const given = await model.classify({ width: 28, height: 28, data: forms[i] });
    for (const [k, probability] of [...given.probabilities, given.isDigit].entries()) {
      probabilityError = Math.max(probabilityError, Math.abs(probability - outputs[i][k]));
    }
  }
  return {
    pictures: pictures.length,
    pixels: 28 * 28 * pictures.length,
    different, // pixels, by any number of grey levels
    differentByMore, // than one level
    sameDigit,
    probabilityError,
  };
}
