# Runs $mosdat_text, with $mosdat_input as $input. Ends as it does: by `exit`, with the code of the last native program, or
# with $mosdat_fault where an error was not handled.
$mosdat_objects = New-Object System.Collections.ArrayList
function mosdat_flush {
    if ($mosdat_objects.Count -gt 0) {
        $mosdat_out.WriteLine(($mosdat_objects | Out-String -Width 4096).Trim("`r`n".ToCharArray()))
        $mosdat_objects.Clear()
    }
}
# Texts as they are; objects as a console shows them, those that follow each other as one table.
function mosdat_tell {
    process {
        if ($_ -is [string]) {
            mosdat_flush
            $mosdat_out.WriteLine($_)
        } elseif ($null -ne $_) {
            [void]$mosdat_objects.Add($_)
        }
    }
}
$mosdat_code = 0
try {
    $global:LASTEXITCODE = 0
    $mosdat_block = [ScriptBlock]::Create($mosdat_text)
    if ($null -eq $mosdat_input) {
        & $mosdat_block | mosdat_tell
    } else {
        $mosdat_input | & $mosdat_block | mosdat_tell
    }
    $mosdat_code = $global:LASTEXITCODE
} catch {
    mosdat_flush
    $mosdat_err.WriteLine(($_ | Out-String -Width 4096).Trim())
    $mosdat_code = $mosdat_fault
} finally {
    # Also where the script has left by `exit`.
    mosdat_flush
}
exit $mosdat_code
