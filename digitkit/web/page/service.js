// Calls of the service.
// @ts-check

import { byId, say, wait } from "./dom.js";

/** @typedef {import("./types.js").CallOptions} CallOptions */

class ApiError extends Error {
  /**
   * @param {number} status
   * @param {string} message
   * @param {number} retryAfter seconds
   */
  constructor(status, message, retryAfter) {
    super(message);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

/**
 * @param {string} path
 * @param {CallOptions} [options]
 * @returns {Promise<Response>} a response that is fine
 */
export async function call(path, options = {}) {
  let response;
  try {
    response = await fetch(path, { credentials: "same-origin", cache: "no-store", ...options });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    showOffline(true);
    throw new Error("The service cannot be reached.", { cause: error });
  }
  showOffline(false);
  if (response.ok) return response;
  const message = await response.json().then((value) => value.error.message, () => "");
  if (response.status === 401 && path !== "api/login") dispatchEvent(new Event("unauthorised"));
  const text = message ? `${message[0].toUpperCase()}${message.slice(1)}.` : `The service answered ${response.status}.`;
  throw new ApiError(response.status, text, Number(response.headers.get("Retry-After")) || 1);
}

/** @returns {Promise<any>} */
export const getJson = async (/** @type {string} */ path, /** @type {CallOptions} */ options = {}) =>
  (await call(path, options)).json();

export const postJson = (/** @type {string} */ path, /** @type {unknown} */ value) =>
  call(path, { method: "POST", body: JSON.stringify(value), headers: { "Content-Type": "application/json" } });

/**
 * Send a picture to be read; where too many wait, once more after a while.
 *
 * @param {Blob} picture
 * @param {Record<string, string>} options
 * @param {{signal?: AbortSignal, headers?: Record<string, string>}} [more]
 */
export async function postPicture(picture, options, more = {}) {
  const path = `api/read?${new URLSearchParams(options)}`;
  const request = { method: "POST", body: picture, ...more };
  try {
    return await call(path, request);
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 429) throw error;
    await wait(1000 * error.retryAfter);
    return call(path, request);
  }
}

function showOffline(/** @type {boolean} */ offline) {
  say(byId("offline"), offline ? "The service cannot be reached; trying again." : null);
}

/**
 * Call a function now and again after each pause, until the signal.
 *
 * @param {number} ms
 * @param {AbortSignal} signal
 * @param {() => Promise<void>} act
 */
export async function repeat(ms, signal, act) {
  while (!signal.aborted) {
    await act().catch(() => undefined); // what was shown stays; `call` says so
    await wait(ms);
  }
}
