import { useMutation, useQuery, useQueryClient, useSuspenseQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { LogOut } from "lucide-react";
import { useState } from "react";
import { permissionsQuery } from "@/api-keys/queries";
import { ShortcutSwitch } from "@/palette/shortcut-switch";
import { Ago } from "@/ui/ago";
import { Tag } from "@/ui/badge";
import { Button, buttonClasses } from "@/ui/button";
import { Card, CardBody } from "@/ui/card";
import { Field } from "@/ui/field";
import { Fact, Facts } from "@/ui/facts";
import { Page } from "@/ui/page";
import { ProblemNote } from "@/ui/problem-note";
import { SelectField } from "@/ui/select-field";
import { setTheme, useTheme } from "@/ui/theme";
import { changeUser } from "@/users/queries";
import { PASSWORD_CHARS_MIN } from "@/users/roles";
import { logIn, PASSWORD_CHANGE, sessionQuery, useLogOut } from "./session";
import { Sessions } from "./sessions";

export default function ProfilePage() {
  const { data } = useSuspenseQuery(sessionQuery);
  const leave = useLogOut();
  return (
    <Page
      title="Profile"
      actions={
        <Button busy={leave.isPending} onClick={() => leave.mutate()}>
          <LogOut aria-hidden /> Log out
        </Button>
      }
    >
      <ProblemNote error={leave.error} />
      <Card title="Account">
        <CardBody>
          <Facts>
            <Fact name="E-mail address">{data.user.email}</Fact>
            <Fact name="Role">
              <span className="capitalize">{data.user.role}</span>
            </Fact>
            <Fact name="Added">
              <Ago at={data.user.created_at} />
            </Fact>
          </Facts>
        </CardBody>
        <Permissions mine={data.permissions} />
      </Card>
      <PasswordForm id={data.user.id} email={data.user.email} />
      <Sessions />
      <Looks />
      <Card
        title="API keys"
        about="For programs that do what you may, such as CI."
        actions={
          <Link to="/settings/api-keys" className={buttonClasses()}>
            To your keys
          </Link>
        }
      />
    </Page>
  );
}

function Permissions({ mine }: { mine: readonly string[] }) {
  const known = useQuery(permissionsQuery).data ?? [];
  return (
    <ul className="divide-y divide-line border-t border-line">
      {known
        .filter(({ name }) => mine.includes(name))
        .map(({ name, description }) => (
          <li key={name} className="grid gap-x-4 px-4 py-2 sm:grid-cols-[6rem_1fr]">
            <span>
              <Tag>{name}</Tag>
            </span>
            <span className="text-muted">{description}</span>
          </li>
        ))}
    </ul>
  );
}

/** A new password ends every session, this one too: the page logs in again with it. */
function PasswordForm({ id, email }: { id: string; email: string }) {
  const [password, setPassword] = useState("");
  const [again, setAgain] = useState("");
  const queries = useQueryClient();
  const call = useMutation({
    mutationKey: PASSWORD_CHANGE,
    mutationFn: async () => {
      await changeUser(id, { password });
      await logIn(email, password);
    },
    onSuccess: () => {
      setPassword("");
      setAgain("");
      void queries.invalidateQueries();
    },
  });
  const differs = again !== "" && again !== password;
  return (
    <Card title="Password" about="A new one logs you out wherever else you are logged in. API keys stay.">
      <CardBody>
        <form
          className="space-y-4"
          onSubmit={(event) => {
            event.preventDefault();
            if (password === again) call.mutate();
          }}
        >
          <input type="hidden" autoComplete="username" value={email} readOnly />
          <div className="grid gap-4 sm:grid-cols-2">
            <Field
              label="New password"
              type="password"
              autoComplete="new-password"
              hint={`${PASSWORD_CHARS_MIN} characters at least.`}
              minLength={PASSWORD_CHARS_MIN}
              required
              value={password}
              onChange={(event) => setPassword(event.target.value)}
            />
            <Field
              label="The same once more"
              type="password"
              autoComplete="new-password"
              required
              error={differs ? "It is another one." : undefined}
              value={again}
              onChange={(event) => setAgain(event.target.value)}
            />
          </div>
          <ProblemNote error={call.error} />
          <div className="flex items-center gap-3">
            <Button type="submit" busy={call.isPending} disabled={differs}>
              Change the password
            </Button>
            {call.isSuccess && <span role="status">Changed. Other sessions have ended.</span>}
          </div>
        </form>
      </CardBody>
    </Card>
  );
}

const THEMES = [
  { value: "system", text: "As the system" },
  { value: "light", text: "Light" },
  { value: "dark", text: "Dark" },
] as const;

function Looks() {
  const theme = useTheme();
  return (
    <Card title="This browser">
      <CardBody className="space-y-4">
        <div className="max-w-xs">
          <SelectField label="Theme" value={theme} options={THEMES} onChange={setTheme} />
        </div>
        <ShortcutSwitch />
      </CardBody>
    </Card>
  );
}
