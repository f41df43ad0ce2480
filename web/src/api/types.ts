import type { components } from "./schema";

type Schemas = components["schemas"];

export type Project = Schemas["Project"];
export type Environment = Schemas["Environment"];
export type Deployment = Schemas["Deployment"];
export type Replica = Schemas["Replica"];
export type Source = Schemas["Source"];
export type BuildLine = Schemas["BuildLine"];
export type ContainerLine = Schemas["ContainerLine"];
export type Variable = Schemas["Variable"];
export type NewVariable = Schemas["NewVariable"];
export type Domain = Schemas["Domain"];
export type DomainLook = Schemas["DomainLook"];
export type Status = Schemas["Status"];
export type Node = Schemas["Node"];
export type Settings = Schemas["Settings"];
export type Changes = Schemas["Changes"];
export type Failure = Schemas["Failure"];
