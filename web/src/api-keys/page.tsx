import { useQuery } from "@tanstack/react-query";
import { Plus, Trash2 } from "lucide-react";
import { useState } from "react";
import type { ApiKey } from "@/api/types";
import { useChange } from "@/api/use-change";
import { useMay } from "@/session/permission";
import { sessionQuery } from "@/session/session";
import { Ago } from "@/ui/ago";
import { Badge, Tag } from "@/ui/badge";
import { Button } from "@/ui/button";
import { Card } from "@/ui/card";
import { Confirm } from "@/ui/confirm";
import { Empty } from "@/ui/empty";
import { nearEnd } from "@/ui/expiry";
import { Listing } from "@/ui/listing";
import { Loaded } from "@/ui/loading";
import { useNow } from "@/ui/now";
import { Page } from "@/ui/page";
import { Cell } from "@/ui/table";
import { CreateKey } from "./create-key";
import { apiKeysQuery, revokeKey } from "./queries";

export default function ApiKeysPage() {
  const query = useQuery(apiKeysQuery);
  const everybodys = useMay("admin");
  const [asked, setAsked] = useState<"new" | ApiKey>();
  const close = () => setAsked(undefined);
  return (
    <Page
      title="API keys"
      about={
        everybodys
          ? "What programs log in with, such as CI. You see everybody’s."
          : "What programs of yours log in with, such as CI."
      }
      actions={
        <Button look="primary" onClick={() => setAsked("new")}>
          <Plus aria-hidden /> New key
        </Button>
      }
    >
      <Loaded query={query}>
        {(keys) => (
          <Card>
            {keys.length === 0 ? (
              <Empty title="No API keys yet">
                <p>A key lets a program do what you allow it to, without your password.</p>
              </Empty>
            ) : (
              <Listing
                what="API keys"
                columns={["Key", "Permits", "Whose", "Made", "Ends", ""]}
                items={keys}
                text={({ name, prefix, user_email, permissions }) =>
                  `${name} ${prefix} ${user_email} ${permissions.join(" ")}`
                }
                row={(key) => <Row key={key.id} apiKey={key} onRevoke={() => setAsked(key)} />}
              />
            )}
          </Card>
        )}
      </Loaded>
      {asked === "new" && <CreateKey onClose={close} />}
      {typeof asked === "object" && <Revoke apiKey={asked} onClose={close} />}
    </Page>
  );
}

function Row({ apiKey, onRevoke }: { apiKey: ApiKey; onRevoke: () => void }) {
  const { name, prefix, permissions, user, user_email, created_at, expires_at } = apiKey;
  const own = useQuery(sessionQuery).data?.user.id === user;
  return (
    <tr>
      <Cell>
        <p className="font-medium break-words">{name}</p>
        <p className="font-mono text-xs text-muted">{prefix}…</p>
      </Cell>
      <Cell>
        <span className="flex flex-wrap gap-1">
          {permissions.map((permission) => (
            <Tag key={permission}>{permission}</Tag>
          ))}
        </span>
      </Cell>
      <Cell>{own ? "you" : (user_email ?? user)}</Cell>
      <Cell className="text-muted">
        <Ago at={created_at} />
      </Cell>
      <Cell>{expires_at ? <End at={expires_at} /> : <span className="text-muted">never</span>}</Cell>
      <Cell className="text-right">
        <Button look="quiet" aria-label={`Revoke ${name}`} onClick={onRevoke}>
          <Trash2 aria-hidden />
        </Button>
      </Cell>
    </tr>
  );
}

function End({ at }: { at: string }) {
  const { tone } = nearEnd(at, useNow(60_000));
  if (tone === "good") return <Ago at={at} />;
  return (
    <Badge tone={tone}>
      <Ago at={at} />
    </Badge>
  );
}

function Revoke({ apiKey, onClose }: { apiKey: ApiKey; onClose: () => void }) {
  const call = useChange(() => revokeKey(apiKey.id), ["api-keys"], onClose);
  return (
    <Confirm
      title={`Revoke ${apiKey.name}?`}
      name={apiKey.name}
      action="Revoke the key"
      danger
      busy={call.isPending}
      error={call.error}
      onConfirm={() => call.mutate()}
      onClose={onClose}
    >
      <p>
        The key that begins with <code className="font-mono">{apiKey.prefix}</code> stops working at once, and
        for ever. Whatever uses it is refused from then on.
      </p>
    </Confirm>
  );
}
