$sid = (New-Object System.Security.Principal.NTAccount -ArgumentList $env:owner).Translate([System.Security.Principal.SecurityIdentifier]).Value
foreach ($words in @('/grant', "*${sid}:F"), @('/setowner', "*$sid")) {
    $said = & icacls.exe $env:new $words[0] $words[1] /Q
    if ($LASTEXITCODE -ne 0) {
        $mosdat_err.WriteLine("icacls $($words[0]) ended with ${LASTEXITCODE}: $said")
        exit 4
    }
}
[System.IO.File]::Delete($env:file)
[System.IO.File]::Move($env:new, $env:file)
exit 0
