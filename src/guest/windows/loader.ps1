$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
$mosdat_sent = @($input)
try {
    & ([ScriptBlock]::Create([regex]::Unescape([string]$mosdat_sent[0])))
    $mosdat_why = 'what came on its standard input does not end'
} catch { $mosdat_why = $_.Exception.Message -replace '\s+', ' ' }
[Console]::Error.WriteLine("mosdat-bootstrap: broken PowerShell $mosdat_why")
exit 127
