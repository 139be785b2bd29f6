$sid = (New-Object System.Security.Principal.NTAccount -ArgumentList $env:owner).Translate([System.Security.Principal.SecurityIdentifier]).Value
function mosdat_give($path) {
    foreach ($words in @('/grant', "*${sid}:F"), @('/setowner', "*$sid")) {
        $said = & icacls.exe $path $words[0] $words[1] /Q
        if ($LASTEXITCODE -ne 0) { throw "icacls $($words[0]) ended with ${LASTEXITCODE}: $said" }
    }
}
try {
    mosdat_give $env:new
    if (Test-Path -LiteralPath $env:file) {
        [System.IO.File]::Replace($env:new, $env:file, [System.Management.Automation.Language.NullString]::Value, $true)
        # It has the rights of the one that was there.
        mosdat_give $env:file
    } else {
        [System.IO.File]::Move($env:new, $env:file)
    }
} catch {
    $mosdat_err.WriteLine($_.Exception.GetBaseException().Message)
    Remove-Item -LiteralPath $env:new -Force -ErrorAction SilentlyContinue
    exit 4
}
exit 0
