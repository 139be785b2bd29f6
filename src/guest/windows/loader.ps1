$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
& ([ScriptBlock]::Create([regex]::Unescape((@($input) -join ''))))
