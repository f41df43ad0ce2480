import { lossSignal, lost } from "./connection";
import { reachable } from "./reachable";

/** After how long without an answer the node is asked whether it is there at all, again and again. */
const DOUBT_AFTER_MS = 3_000;

/**
 * Does what asks the node for something, for as long as the node is there: its work may take minutes, but who was cut off never
 * answers.
 */
export async function whileThere<T>(work: (loss: AbortSignal) => Promise<T>): Promise<T> {
  const ask = async () => {
    if ((await reachable()) === null) lost();
  };
  const timer = setInterval(() => void ask(), DOUBT_AFTER_MS);
  try {
    return await work(lossSignal());
  } finally {
    clearInterval(timer);
  }
}
