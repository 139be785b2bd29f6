# Makes the folder of a file and an empty file beside it; prints both names. 3: no such user; 4: it cannot be written.
try {
    $sid = (New-Object System.Security.Principal.NTAccount -ArgumentList $env:owner).Translate([System.Security.Principal.SecurityIdentifier]).Value
} catch [System.Security.Principal.IdentityNotMappedException] {
    $mosdat_err.WriteLine("no user $env:owner")
    exit 3
}
try {
    $path = $env:file
    if ($path -match '^~[\\/]') { $path = Join-Path (mosdat_home $env:owner) $path.Substring(2) }
    $path = [System.IO.Path]::GetFullPath($path)
    if (Test-Path -LiteralPath $path -PathType Container) { throw "$path is a folder" }
    $missing = New-Object System.Collections.Stack
    $folder = Split-Path -LiteralPath $path
    while ($folder -and -not (Test-Path -LiteralPath $folder)) {
        $missing.Push($folder)
        $folder = Split-Path -LiteralPath $folder
    }
    foreach ($folder in $missing) {
        [void][System.IO.Directory]::CreateDirectory($folder)
        $null = & icacls.exe $folder /grant "*${sid}:(OI)(CI)F" /Q
        $null = & icacls.exe $folder /setowner "*$sid" /Q
    }
    $new = "$path.$([guid]::NewGuid().ToString('N').Substring(0, 8))"
    [System.IO.File]::WriteAllBytes($new, (New-Object byte[] -ArgumentList 0))
} catch {
    $mosdat_err.WriteLine($_.Exception.GetBaseException().Message)
    exit 4
}
$mosdat_out.Write("$new`n$path")
exit 0
