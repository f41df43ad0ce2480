import { expect, test } from "vitest";
import type { DomainLook } from "@/api/types";
import { seen } from "./status";

const look: DomainLook = { node: 1, name: "n1", answered: true, addresses: [], txt: [] };
const address = (address: string, leads_here: boolean) => ({ address, leads_here });

test("what a node sees is one sentence", () => {
  expect(seen(look).text).toBe("has no address");
  expect(seen({ ...look, answered: false })).toEqual({ tone: "calm", text: "does not answer" });
  expect(seen({ ...look, addresses: [address("192.0.2.1", false)] }).text).toContain(
    "which is not this cluster",
  );
  const here = { ...look, addresses: [address("192.0.2.1", true)] };
  expect(seen(here).tone).toBe("warn");
  expect(seen({ ...here, certificate: "2027-01-01T00:00:00Z" }).tone).toBe("good");
});
