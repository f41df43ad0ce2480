import { useQuery } from "@tanstack/react-query";
import { Trash2, Upload } from "lucide-react";
import { useState } from "react";
import type { Certificate } from "@/api/types";
import { useChange } from "@/api/use-change";
import { useMay } from "@/session/permission";
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
import { BringCertificate } from "./bring";
import { certificatesQuery, deleteCertificate } from "./queries";

/** How many of a certificate's names are shown. */
const NAMES_SHOWN = 3;

export default function CertificatesPage() {
  const query = useQuery(certificatesQuery);
  const may = useMay("write");
  const [asked, setAsked] = useState<"bring" | Certificate>();
  const close = () => setAsked(undefined);
  return (
    <Page
      title="Certificates"
      about="What the edges show for names. Those of domains come and renew by themselves."
      actions={
        may && (
          <Button look="primary" onClick={() => setAsked("bring")}>
            <Upload aria-hidden /> Bring a certificate
          </Button>
        )
      }
    >
      <Loaded query={query}>
        {(certificates) => (
          <Card>
            {certificates.length === 0 ? (
              <Empty title="No certificates yet">
                <p>
                  A domain gets one by itself once its name leads here. Bring one of your own where that
                  cannot be: for names of your company’s authority, say.
                </p>
              </Empty>
            ) : (
              <Listing
                what="certificates"
                columns={["Names", "State", "Ends", "Issuer", "Renewed by", ""]}
                items={[...certificates].sort((one, other) => one.not_after.localeCompare(other.not_after))}
                text={({ names, issuer }) => `${names.join(" ")} ${issuer}`}
                row={(certificate) => (
                  <Row
                    key={certificate.id}
                    certificate={certificate}
                    onDelete={may ? () => setAsked(certificate) : undefined}
                  />
                )}
              />
            )}
          </Card>
        )}
      </Loaded>
      {asked === "bring" && <BringCertificate onClose={close} />}
      {typeof asked === "object" && <Delete certificate={asked} onClose={close} />}
    </Page>
  );
}

function Row({ certificate, onDelete }: { certificate: Certificate; onDelete: (() => void) | undefined }) {
  const { names, issuer, not_before, not_after, source } = certificate;
  const now = useNow(60_000);
  const early = Date.parse(not_before) > now;
  const { tone, text } = early ? ({ tone: "warn", text: "Not yet valid" } as const) : nearEnd(not_after, now);
  const more = names.slice(NAMES_SHOWN);
  return (
    <tr>
      <Cell>
        {names.slice(0, NAMES_SHOWN).map((name) => (
          <p key={name} className="font-medium break-all">
            {name}
          </p>
        ))}
        {more.length > 0 && (
          <p className="text-xs text-muted" title={more.join("\n")}>
            and {more.length} more
          </p>
        )}
      </Cell>
      <Cell>
        <Badge tone={tone}>{text}</Badge>
      </Cell>
      <Cell className="text-muted">
        <Ago at={early ? not_before : not_after} />
      </Cell>
      <Cell className="max-w-64 break-words text-muted">{issuer}</Cell>
      <Cell>{source.type === "issued" ? <Tag>the cluster</Tag> : <Tag>whoever brought it</Tag>}</Cell>
      <Cell className="text-right">
        {onDelete !== undefined && (
          <Button look="quiet" aria-label={`Delete the certificate of ${names[0]}`} onClick={onDelete}>
            <Trash2 aria-hidden />
          </Button>
        )}
      </Cell>
    </tr>
  );
}

function Delete({ certificate, onClose }: { certificate: Certificate; onClose: () => void }) {
  const { id, names, source } = certificate;
  const call = useChange(() => deleteCertificate(id), ["certificates", "domains"], onClose);
  return (
    <Confirm
      title={`Delete the certificate of ${names[0]}?`}
      name={names[0] ?? id}
      action="Delete the certificate"
      danger
      busy={call.isPending}
      error={call.error}
      onConfirm={() => call.mutate()}
      onClose={onClose}
    >
      <p>
        It and its key are gone for ever. Browsers that come to{" "}
        {names.length === 1 ? names[0] : `one of its ${names.length} names`} get another certificate that
        fits, or refuse to go on where there is none.
      </p>
      {source.type === "issued" ? (
        <p>As long as the domain {source.domain} is there, the cluster asks for another one.</p>
      ) : (
        <p>Nobody but you has it: keep a copy if you may need it again.</p>
      )}
    </Confirm>
  );
}
