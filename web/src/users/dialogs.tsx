import { useState } from "react";
import type { User } from "@/api/types";
import { useChange } from "@/api/use-change";
import { Choice } from "@/ui/choice";
import { Confirm } from "@/ui/confirm";
import { Field } from "@/ui/field";
import { FormDialog } from "@/ui/form-dialog";
import { changeUser, removeUser } from "./queries";
import { PASSWORD_CHARS_MIN, ROLES, type Role } from "./roles";

interface Props {
  user: User;
  onClose: () => void;
}

export function ChangeRole({ user, onClose }: Props) {
  const [role, setRole] = useState(user.role as Role);
  const call = useChange(() => changeUser(user.id, { role }), ["users", "session"], onClose);
  return (
    <FormDialog title={`The role of ${user.email}`} action="Change" call={call} onClose={onClose}>
      <Choice label="Role" value={role} options={ROLES} onChange={setRole} />
      <p className="text-muted">It holds at once, also for the user’s API keys.</p>
    </FormDialog>
  );
}

export function SetPassword({ user, onClose }: Props) {
  const [password, setPassword] = useState("");
  const call = useChange(() => changeUser(user.id, { password }), ["users"], onClose);
  return (
    <FormDialog title={`A new password for ${user.email}`} action="Set" call={call} onClose={onClose}>
      <Field
        label="New password"
        type="password"
        autoComplete="new-password"
        hint={`${PASSWORD_CHARS_MIN} characters at least.`}
        minLength={PASSWORD_CHARS_MIN}
        required
        autoFocus
        value={password}
        onChange={(event) => setPassword(event.target.value)}
      />
      <p className="text-muted">Wherever they are logged in now, they have to log in again. API keys stay.</p>
    </FormDialog>
  );
}

export function RemoveUser({ user, onClose }: Props) {
  const call = useChange(() => removeUser(user.id), ["users", "api-keys"], onClose);
  return (
    <Confirm
      title={`Remove ${user.email}?`}
      name={user.email}
      action="Remove the user"
      danger
      busy={call.isPending}
      error={call.error}
      onConfirm={() => call.mutate()}
      onClose={onClose}
    >
      <p>
        They are logged out everywhere, and every API key of theirs stops working at once: what deploys with
        one deploys no more.
      </p>
      <p>Projects and deployments stay, and so does what the audit log says of them.</p>
    </Confirm>
  );
}
