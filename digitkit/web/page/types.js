// What the service answers, for the checker of types.

/**
 * @typedef {{text: string, complete: boolean, confidence: number, box: number[], guess?: string,
 *   reasons?: string[], row: number, column: number, digits?: number[]}} NumberRead
 * @typedef {{digit: number, confidence: number, accepted: boolean, probabilities: number[],
 *   is_digit: number, image: string}} DigitRead
 * @typedef {{text: string, turn?: number, numbers: NumberRead[], digits: DigitRead[],
 *   dropped?: {text: string, reasons: string[]}[], ms: Record<string, number>}} Reading
 * @typedef {{id: number, written: string, time?: string, source: string, page?: number,
 *   event?: string, number?: NumberRead, previous?: string, numbers?: NumberRead[]}} Stored
 * @typedef {{fps: number, age: number|null, stale: boolean, note: string|null, source?: string,
 *   numbers?: NumberRead[]}} LiveState
 * @typedef {{body?: BodyInit, method?: string, headers?: Record<string, string>,
 *   signal?: AbortSignal}} CallOptions
 */

export {};
