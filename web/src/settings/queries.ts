import { queryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { api, unwrap } from "@/api/client";
import type { Settings } from "@/api/types";

/** The settings, and which version of them that is. */
export interface Known {
  settings: Settings;
  tag: string | null;
}

export const settingsQuery = queryOptions({
  queryKey: ["settings"],
  queryFn: async (): Promise<Known> => {
    const call = api.GET("/api/settings");
    const settings = await unwrap(call);
    return { settings, tag: (await call).response.headers.get("etag") };
  },
});

/** Replaces the version of the settings that a draft began with, and no other. */
async function saveSettings({ settings, tag }: Known): Promise<Known> {
  const header = tag === null ? {} : { "If-Match": tag };
  const call = api.PUT("/api/settings", { params: { header }, body: settings });
  const saved = await unwrap(call);
  return { settings: saved, tag: (await call).response.headers.get("etag") };
}

/** A draft of the settings. What others save meanwhile does not change it; saving is refused then. */
export function useSettingsDraft(known: Known) {
  const [draft, setDraft] = useState(known.settings);
  const [base, setBase] = useState(known.tag);
  const queries = useQueryClient();
  const call = useMutation({
    mutationFn: () => saveSettings({ settings: draft, tag: base }),
    onSuccess: (saved) => {
      setDraft(saved.settings);
      setBase(saved.tag);
      queries.setQueryData(settingsQuery.queryKey, saved);
    },
  });
  return { draft, setDraft, call };
}
