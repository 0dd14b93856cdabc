-- Argo CD's health of a SignupPipeline, for resource.customizations.health.signup.dev_SignupPipeline of argocd-cm.
local status = obj.status or {}
local conditions = {}
for _, condition in ipairs(status.conditions or {}) do
  conditions[condition.type] = condition
end
local function is(kind, value)
  return conditions[kind] ~= nil and conditions[kind].status == value
end
local function health(name, kind)
  return {status = name, message = conditions[kind].message}
end
if obj.metadata.deletionTimestamp ~= nil then
  return {status = "Progressing", message = "it is being deleted"}
end
if conditions.Ready == nil or status.observedGeneration ~= obj.metadata.generation then
  return {status = "Progressing", message = "the operator has not looked at the newest edit yet"}
end
if is("Paused", "True") then
  return health("Suspended", "Paused")
end
if is("Stalled", "True") then
  return health("Degraded", "Stalled")
end
if is("Reconciling", "True") then
  return health("Progressing", "Reconciling")
end
if is("Ready", "False") then
  return health("Degraded", "Ready")
end
if is("Ready", "True") then
  return health("Healthy", "Ready")
end
return health("Progressing", "Ready")
