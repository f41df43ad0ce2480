import { queryOptions, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { api, unwrap } from "@/api/client";
import type { Settings } from "@/api/types";
import { useMay } from "@/session/permission";
import { Button } from "@/ui/button";
import { Card, CardBody } from "@/ui/card";
import { Check, Field } from "@/ui/field";
import { Loaded } from "@/ui/loading";
import { Page } from "@/ui/page";
import { ProblemNote } from "@/ui/problem-note";

const settingsQuery = queryOptions({
  queryKey: ["settings"],
  queryFn: async () => {
    const call = api.GET("/api/settings");
    const settings = await unwrap(call);
    // What is saved later replaces these, and no others.
    return { settings, tag: (await call).response.headers.get("etag") };
  },
});

export default function SettingsPage() {
  const query = useQuery(settingsQuery);
  return (
    <Page title="Settings" about="They hold for the whole cluster, from the moment that they are saved.">
      <Loaded query={query}>{({ settings, tag }) => <Form settings={settings} tag={tag} />}</Loaded>
    </Page>
  );
}

function list(text: string): string[] {
  return text.split(/[\s,]+/).filter(Boolean);
}

interface Props {
  settings: Settings;
  /** Which version of them that is. */
  tag: string | null;
}

function Form({ settings, tag }: Props) {
  const [draft, setDraft] = useState(settings);
  // The version that the draft began with, whatever is known by now.
  const [base, setBase] = useState(tag);
  const may = useMay("admin");
  const queries = useQueryClient();
  const call = useMutation({
    mutationFn: async () => {
      const header = base === null ? {} : { "If-Match": base };
      const call = api.PUT("/api/settings", { params: { header }, body: draft });
      const saved = await unwrap(call);
      return { settings: saved, tag: (await call).response.headers.get("etag") };
    },
    onSuccess: (saved) => {
      setDraft(saved.settings);
      setBase(saved.tag);
      queries.setQueryData(settingsQuery.queryKey, saved);
    },
  });
  const { acme, build, dns, edge } = draft;
  return (
    <form
      className="space-y-5"
      onSubmit={(event) => {
        event.preventDefault();
        call.mutate();
      }}
    >
      <fieldset disabled={!may} className="space-y-5">
        <Card title="Addresses of apps">
          <CardBody className="grid gap-4 sm:grid-cols-2">
            <Field
              label="Preview domain"
              hint="Every app has a name below it."
              value={draft.preview_domain}
              onChange={(event) => setDraft({ ...draft, preview_domain: event.target.value })}
            />
            <Field
              label="Zones"
              hint="Names that the nodes answer for in the DNS, with a space between them."
              value={dns.zones.join(" ")}
              onChange={(event) => setDraft({ ...draft, dns: { ...dns, zones: list(event.target.value) } })}
            />
          </CardBody>
        </Card>
        <Card title="Certificates">
          <CardBody className="grid gap-4 sm:grid-cols-2">
            <div className="sm:col-span-2">
              <Check
                label="Get certificates for domains"
                hint="From the authority below, renewed in time."
                checked={acme.enabled}
                onChange={(event) => setDraft({ ...draft, acme: { ...acme, enabled: event.target.checked } })}
              />
            </div>
            <Field
              label="Authority"
              value={acme.directory}
              onChange={(event) => setDraft({ ...draft, acme: { ...acme, directory: event.target.value } })}
            />
            <Field
              label="E-mail address for the authority"
              type="email"
              value={acme.email}
              onChange={(event) => setDraft({ ...draft, acme: { ...acme, email: event.target.value } })}
            />
          </CardBody>
        </Card>
        <Card title="Builds and edge">
          <CardBody className="grid gap-4 sm:grid-cols-2">
            <Field
              label="Builds at once on each node"
              type="number"
              min={1}
              value={build.at_once}
              onChange={(event) =>
                setDraft({ ...draft, build: { ...build, at_once: Number(event.target.value) } })
              }
            />
            <Field
              label="Seconds that a build may take"
              type="number"
              min={1}
              value={build.timeout_seconds}
              onChange={(event) =>
                setDraft({ ...draft, build: { ...build, timeout_seconds: Number(event.target.value) } })
              }
            />
            <div className="sm:col-span-2">
              <Check
                label="Speak HTTP/3"
                hint="Where UDP gets through to HTTPS’ port."
                checked={edge.http3}
                onChange={(event) => setDraft({ ...draft, edge: { ...edge, http3: event.target.checked } })}
              />
            </div>
          </CardBody>
        </Card>
      </fieldset>
      <ProblemNote error={call.error} />
      {may ? (
        <div className="flex items-center gap-3">
          <Button type="submit" look="primary" busy={call.isPending}>
            Save
          </Button>
          {call.isSuccess && <span role="status">Saved.</span>}
          <span className="text-muted">
            The rest: <code className="font-mono text-[0.8125rem]">temps settings show</code>
          </span>
        </div>
      ) : (
        <p className="text-muted">Only admins may change them.</p>
      )}
    </form>
  );
}
